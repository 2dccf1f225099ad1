import wgsl from '../../shaders/fake_quantize.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom } from './codes.ts';

export const fakeQuantizeKernel = {
  name: 'fake_quantize',
  wgsl,
  bindings: { source: 'read', table: 'read', statistics: 'read', values: 'read_write' },
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
    depth_groups: 'u32',
    depth_per_group: 'u32',
    low: 'f32',
    high: 'f32',
  },
  overrides: { WORKGROUP_SIZE: 64, KIND: 0 },
} as const satisfies Kernel;

const KIND = { uniform: 0, 'published-softmax': 1, 'signed-ranges': 2, 'per-token': 3 } as const;

/** How a value becomes that of its code; see the shader for the table that each takes. */
export type FakeQuantizeKind = keyof typeof KIND;

export interface FakeQuantizeBuffers {
  /** f32, the strided view of the parameters. */
  readonly source: GPUBuffer;
  /** f32 `[candidates][groupsPerCandidate][4]`. */
  readonly table: GPUBuffer;
  /** f32 `[images * heads * rows][4]`, the largest magnitude of each row first; null but for `per-token`. */
  readonly statistics: GPUBuffer | null;
  /** f32 `[candidates][images * heads][rows][depth]`, written. */
  readonly values: GPUBuffer;
}

export interface FakeQuantizeParams {
  readonly kind: FakeQuantizeKind;
  /** First and last code. */
  readonly low: number;
  readonly high: number;
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
  /** Equal runs of rows, and inside them of the depth, that have a table entry of their own. */
  readonly rowGroups: number;
  readonly depthGroups: number;
  /** 1: each head has entries of its own, after those of the head before it; 0: heads share them. */
  readonly groupPerHead: 0 | 1;
}

/** Table entries of one candidate. */
export function tableEntries({
  heads,
  rowGroups,
  depthGroups,
  groupPerHead,
}: Pick<FakeQuantizeParams, 'heads' | 'rowGroups' | 'depthGroups' | 'groupPerHead'>): number {
  return (groupPerHead ? heads : 1) * rowGroups * depthGroups;
}

/**
 * Prepares quantization and dequantization of a strided view with `candidates` sets of scales.
 *
 * @throws RangeError on a bad count, groups that do not divide rows or depth, missing statistics, or a buffer too small
 */
export async function fakeQuantize(
  device: GPUDevice,
  { source, table, statistics, values }: FakeQuantizeBuffers,
  params: FakeQuantizeParams,
): Promise<Dispatch> {
  const { kind, low, high, candidates, images, heads, rows, depth, rowGroups, depthGroups, groupPerHead } = params;
  const { offset, imageStride, headStride, rowStride, depthStride } = params;
  checkIntegers({ candidates, images, heads, rows, depth, rowGroups, depthGroups, high }, 1);
  checkIntegers({ offset, imageStride, headStride, rowStride, depthStride }, 0);
  if (rows % rowGroups !== 0) throw new RangeError(`${rows} rows do not divide into ${rowGroups} equal runs`);
  if (depth % depthGroups !== 0)
    throw new RangeError(`a depth of ${depth} does not divide into ${depthGroups} equal runs`);
  const lastRow = offset + (images - 1) * imageStride + (heads - 1) * headStride + (rows - 1) * rowStride;
  checkRoom('source', source, lastRow + (depth - 1) * depthStride + 1);
  const groups = tableEntries(params);
  checkRoom('table', table, 4 * candidates * groups);
  if (kind === 'per-token') {
    if (!statistics) throw new RangeError('scales per token need the statistics of the rows');
    checkRoom('statistics', statistics, 4 * images * heads * rows);
  }
  const elements = candidates * images * heads * rows * depth;
  checkRoom('values', values, elements);
  return prepare(
    device,
    fakeQuantizeKernel,
    { source, table, statistics: statistics ?? table, values },
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
      groups_per_candidate: groups,
      group_head_stride: groupPerHead ? rowGroups * depthGroups : 0,
      rows_per_group: rows / rowGroups,
      depth_groups: depthGroups,
      depth_per_group: depth / depthGroups,
      low,
      high,
    },
    gridFor(device, elements, fakeQuantizeKernel.overrides.WORKGROUP_SIZE),
    { KIND: KIND[kind] },
  );
}
