import wgsl from '../../shaders/quantize_uniform.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkBits, checkIntegers, checkRoom, codeWords } from './codes.ts';

export const quantizeUniformKernel = {
  name: 'quantize_uniform',
  wgsl,
  bindings: { source: 'read', inverse_scales: 'read', codes: 'read_write' },
  params: {
    candidates: 'u32',
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    depth: 'u32',
    offset: 'u32',
    image_stride: 'u32',
    head_stride: 'u32',
    row_stride: 'u32',
    depth_stride: 'u32',
    groups_per_candidate: 'u32',
    group_head_stride: 'u32',
    rows_per_group: 'u32',
    low: 'f32',
    high: 'f32',
    zero: 'f32',
  },
  overrides: { WORKGROUP_SIZE: 64, DEPTH_MAJOR: 0, REPEAT: 1, OFFSET: 0 },
} as const satisfies Kernel;

export interface QuantizeUniformBuffers {
  /** f32, the strided view of the parameters. */
  readonly source: Bindable;
  /** f32 `[candidates][groupsPerCandidate]`, `Math.fround(1 / scale)`. */
  readonly inverseScales: Bindable;
  /** u32 `[candidates][images * heads][repeat][rows][words]` or `[candidates][images * heads][repeat][words][rows]`. */
  readonly codes: Bindable;
}

export interface QuantizeUniformParams {
  /** Width of a code, 2 to 8. */
  readonly bits: number;
  /** `row-major` for operand A, `depth-major` for operand B. */
  readonly layout: 'row-major' | 'depth-major';
  readonly candidates: number;
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  /** Strides of the source, in elements. */
  readonly offset: number;
  readonly imageStride: number;
  readonly headStride: number;
  readonly rowStride: number;
  readonly depthStride: number;
  /** Stride between the inverse scales of two candidates: at least the groups of one. */
  readonly groupsPerCandidate: number;
  /** 1: each head has groups of its own, after those of the head before it; 0: heads share them. */
  readonly groupPerHead: 0 | 1;
  /** Consecutive rows that share a group; 0: all of them. */
  readonly rowsPerGroup: number;
  /** How often the codes of each image and head are written, one after the other. Default 1. */
  readonly repeat?: number;
  /** Leaves out the code -q. Default false. */
  readonly restricted?: boolean;
  /** Code of the value 0, in 1 - q..q - 1, row-major only: rows are followed by as many `-zero`, see the shader. Default none. */
  readonly zero?: number | undefined;
}

/**
 * Prepares uniform quantization of a strided view with `candidates` sets of scales (PTQ4ViT, section 2.1).
 *
 * @throws RangeError on a bad width, count, or a buffer too small
 */
export async function quantizeUniform(
  device: GPUDevice,
  { source, inverseScales, codes }: QuantizeUniformBuffers,
  params: QuantizeUniformParams,
): Promise<Dispatch> {
  const { bits, layout, candidates, images, heads, rows, depth, rowsPerGroup } = params;
  const { offset, imageStride, headStride, rowStride, depthStride, groupsPerCandidate, groupPerHead } = params;
  const { repeat = 1, restricted = false, zero } = params;
  checkBits(bits);
  checkIntegers({ candidates, images, heads, rows, depth, groupsPerCandidate, repeat }, 1);
  checkIntegers({ offset, imageStride, headStride, rowStride, depthStride, groupPerHead, rowsPerGroup }, 0);
  const q = 2 ** (bits - 1);
  if (zero !== undefined && !(Number.isInteger(zero) && Math.abs(zero) < q && layout === 'row-major' && repeat === 1)) {
    throw new RangeError(`a zero point is an integer in ${1 - q}..${q - 1} of row-major codes, got ${zero}`);
  }
  const groupsPerHead = rowsPerGroup === 0 ? 1 : Math.ceil(rows / rowsPerGroup);
  const groups = groupPerHead ? heads * groupsPerHead : groupsPerHead;
  if (groupsPerCandidate < groups) {
    throw new RangeError(`groupsPerCandidate must be at least the ${groups} groups in use, got ${groupsPerCandidate}`);
  }
  const lastRow = offset + (images - 1) * imageStride + (heads - 1) * headStride + (rows - 1) * rowStride;
  checkRoom('source', source, lastRow + (depth - 1) * depthStride + 1);
  checkRoom('inverseScales', inverseScales, (candidates - 1) * groupsPerCandidate + groups);
  const words = candidates * images * heads * rows * codeWords(depth);
  checkRoom('codes', codes, (zero === undefined ? repeat : 2) * words);
  const [x, y] = gridFor(device, rows * codeWords(depth), quantizeUniformKernel.overrides.WORKGROUP_SIZE);
  return prepare(
    device,
    quantizeUniformKernel,
    { source, inverse_scales: inverseScales, codes },
    {
      candidates,
      images,
      heads,
      rows,
      depth,
      offset,
      image_stride: imageStride,
      head_stride: headStride,
      row_stride: rowStride,
      depth_stride: depthStride,
      groups_per_candidate: groupsPerCandidate,
      group_head_stride: groupPerHead ? groupsPerHead : 0,
      rows_per_group: rowsPerGroup === 0 ? rows : rowsPerGroup,
      low: restricted ? 1 - q : -q,
      high: q - 1,
      zero: zero ?? 0,
    },
    [x, y, Math.min(images * heads, device.limits.maxComputeWorkgroupsPerDimension)],
    { DEPTH_MAJOR: layout === 'depth-major' ? 1 : 0, REPEAT: repeat, OFFSET: zero === undefined ? 0 : 1 },
  );
}
