import type { BufferScope } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { codeWords } from '../kernels/codes.ts';
import { levelEntries, quantizeLevels } from '../kernels/quantizeLevels.ts';
import { quantizeTwinGelu, twinGeluTable } from '../kernels/quantizeTwinGelu.ts';
import { quantizeTwinSoftmax, twinSoftmaxTable } from '../kernels/quantizeTwinSoftmax.ts';
import { quantizeUniform } from '../kernels/quantizeUniform.ts';
import type { StridedMatrix } from './geometry.ts';
import { productShape } from './productShape.ts';
import { steps, type ActivationQuantizer, type LevelsQuantizer, type UniformQuantizer } from './quantizer.ts';

/** Packed codes of one operand for several candidate quantizers. */
export interface EncodedOperand {
  readonly codes: GPUBuffer;
  /** Words of one candidate's codes; 0 when all candidates share them. */
  readonly candidateStride: number;
  readonly dispatches: readonly Dispatch[];
}

interface OperandShape {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
}

/**
 * Codes of an activation as the left operand, row-major: u32 `[candidates][images * heads][rows][words]`, words those of
 * `productShape`. Candidates are of one type, width, range and zero point.
 */
export async function encodeLeft(
  device: GPUDevice,
  source: GPUBuffer,
  matrix: StridedMatrix,
  shape: OperandShape,
  quantizers: readonly ActivationQuantizer[],
  scope: BufferScope,
): Promise<EncodedOperand> {
  const first = quantizers[0] as ActivationQuantizer;
  const { images, heads, rows, depth } = shape;
  const words = images * heads * rows * productShape(depth, first).words;
  if (first.type === 'pixels') return { codes: source, candidateStride: 0, dispatches: [] };
  if (first.type === 'uniform') {
    return encodeUniform(device, source, matrix, shape, quantizers as readonly UniformQuantizer[], 'row-major', scope);
  }
  const codes = scope.acquire(4 * words * quantizers.length, 'left codes');
  const candidates = quantizers.length;
  const common = { bits: first.bits, candidates, rows: images * heads * rows, depth };
  const candidateStride = candidates === 1 ? 0 : words;
  if (first.type === 'levels') {
    const entries = (quantizers as readonly LevelsQuantizer[]).map(levelEntries);
    const thresholds = scope.upload(Float32Array.from(entries.flatMap((entry) => entry.thresholds)), 'thresholds');
    const planes = scope.upload(Uint32Array.from(entries.flatMap((entry) => entry.planes)), 'planes');
    const dispatch = await quantizeLevels(device, { source, thresholds, planes, codes }, common);
    return { codes, candidateStride, dispatches: [dispatch] };
  }
  const tables = quantizers.flatMap((quantizer) => {
    if (quantizer.type === 'twin-softmax') return twinSoftmaxTable(quantizer.shift, quantizer.bits, quantizer.boundary);
    if (quantizer.type === 'twin-gelu') return twinGeluTable(steps(quantizer)[0] as number, quantizer.scaleR2);
    throw new Error(`candidates of one operand are of one type, got ${first.type} and ${quantizer.type}`);
  });
  const table = scope.upload(Float32Array.from(tables), 'twin table');
  const encode = first.type === 'twin-softmax' ? quantizeTwinSoftmax : quantizeTwinGelu;
  const dispatch = await encode(device, { source, table, codes }, common);
  return { codes, candidateStride, dispatches: [dispatch] };
}

/**
 * Codes of the right operand, depth-major: u32 `[candidates][images * heads][repeat][words][columns]`; `matrix` is
 * `[depth, columns]`, `repeat` that of `productShape`.
 */
export async function encodeRight(
  device: GPUDevice,
  source: GPUBuffer,
  matrix: StridedMatrix,
  shape: { readonly images: number; readonly heads: number; readonly depth: number; readonly columns: number },
  quantizers: readonly UniformQuantizer[],
  scope: BufferScope,
  repeat: 1 | 2 = 1,
): Promise<EncodedOperand> {
  const { images, heads, depth, columns } = shape;
  const transposed = { ...matrix, rowStride: matrix.columnStride, columnStride: matrix.rowStride };
  return encodeUniform(
    device,
    source,
    transposed,
    { images, heads, rows: columns, depth },
    quantizers,
    'depth-major',
    scope,
    repeat,
  );
}

async function encodeUniform(
  device: GPUDevice,
  source: GPUBuffer,
  matrix: StridedMatrix,
  { images, heads, rows, depth }: OperandShape,
  quantizers: readonly UniformQuantizer[],
  layout: 'row-major' | 'depth-major',
  scope: BufferScope,
  repeat: 1 | 2 = 1,
): Promise<EncodedOperand> {
  const { bits, granularity, scales, restricted, zeroPoint } = quantizers[0] as UniformQuantizer;
  const groups = scales.length;
  const copies = zeroPoint === undefined ? repeat : 2;
  const words = copies * images * heads * rows * codeWords(depth);
  const candidates = quantizers.length;
  const codes = scope.acquire(4 * words * candidates, `${layout} codes`);
  const inverse = Float32Array.from(quantizers.flatMap((quantizer) => quantizer.scales.map((scale) => 1 / scale)));
  const inverseScales = scope.upload(inverse, 'inverse scales');
  const dispatch = await quantizeUniform(
    device,
    { source, inverseScales, codes },
    {
      bits,
      layout,
      candidates,
      images,
      heads,
      rows,
      depth,
      offset: matrix.offset,
      imageStride: matrix.imageStride,
      headStride: matrix.headStride,
      rowStride: matrix.rowStride,
      depthStride: matrix.columnStride,
      groupsPerCandidate: groups,
      groupPerHead: granularity === 'head' ? 1 : 0,
      rowsPerGroup: granularity === 'channel' || granularity === 'part' ? rows / groups : 0,
      repeat,
      restricted: restricted ?? false,
      zero: zeroPoint,
    },
  );
  return { codes, candidateStride: candidates === 1 ? 0 : words, dispatches: [dispatch] };
}
