import type { BufferScope } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { dequantize } from '../kernels/dequantize.ts';
import { fakeQuantize, tableEntries, type FakeQuantizeKind, type FakeQuantizeParams } from '../kernels/fakeQuantize.ts';
import type { StridedMatrix as FloatMatrix } from '../kernels/matmulF32.ts';
import { rangeStatistics } from '../kernels/rangeStatistics.ts';
import { codeRange } from './codeRange.ts';
import type { LeftQuantizer, RightQuantizer } from './floatQuantizer.ts';
import type { StridedMatrix } from './geometry.ts';
import { steps } from './quantizer.ts';

/** The values of the codes of one operand under candidate quantizers, f32, and where the matrices of each image and head lie. */
export interface FloatOperand {
  readonly values: GPUBuffer;
  /** Elements between candidates; 0 when all share one. */
  readonly candidateStride: number;
  readonly matrix: FloatMatrix;
  readonly dispatches: readonly Dispatch[];
}

interface Lines {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
}

/** The left operand `[rows, depth]` of each image and head; candidates are of one type and width. Pixels come as packed codes. */
export async function floatLeft(
  device: GPUDevice,
  source: GPUBuffer,
  matrix: StridedMatrix,
  shape: Lines,
  quantizers: readonly LeftQuantizer[],
  scope: BufferScope,
): Promise<FloatOperand> {
  const first = quantizers[0] as LeftQuantizer;
  if (first.type === 'pixels') return pixelValues(device, source, shape, scope);
  const statistics = first.type === 'per-token' ? await rowStatistics(device, source, shape, scope) : undefined;
  const made = await fake(device, source, matrix, shape, quantizers, statistics?.buffer, scope);
  return statistics ? { ...made, dispatches: [statistics.dispatch, ...made.dispatches] } : made;
}

/** The right operand as its transpose `[columns, depth]`; `matrix` is `[depth, columns]`. `unquantized`: as it is. */
export async function floatRight(
  device: GPUDevice,
  source: GPUBuffer,
  matrix: StridedMatrix,
  { images, heads, depth, columns }: Omit<Lines, 'rows'> & { readonly columns: number },
  quantizers: readonly RightQuantizer[] | 'unquantized',
  scope: BufferScope,
): Promise<FloatOperand> {
  const transposed = { ...matrix, rowStride: matrix.columnStride, columnStride: matrix.rowStride };
  if (quantizers === 'unquantized') {
    return { values: source, candidateStride: 0, matrix: floatMatrix(transposed), dispatches: [] };
  }
  return fake(device, source, transposed, { images, heads, rows: columns, depth }, quantizers, undefined, scope);
}

async function fake(
  device: GPUDevice,
  source: GPUBuffer,
  matrix: StridedMatrix,
  shape: Lines,
  quantizers: readonly (LeftQuantizer | RightQuantizer)[],
  statistics: GPUBuffer | undefined,
  scope: BufferScope,
): Promise<FloatOperand> {
  const { images, heads, rows, depth } = shape;
  const candidates = quantizers.length;
  const forms = quantizers.map((quantizer) => formOf(quantizer, rows));
  const { kind, low, high, rowGroups, depthGroups, groupPerHead } = forms[0] as Form;
  const elements = images * heads * rows * depth;
  const values = scope.acquire(4 * candidates * elements, 'values of codes');
  const params: FakeQuantizeParams = {
    ...{ kind, low, high, candidates, images, heads, rows, depth, rowGroups, depthGroups, groupPerHead },
    offset: matrix.offset,
    imageStride: matrix.imageStride,
    headStride: matrix.headStride,
    rowStride: matrix.rowStride,
    depthStride: matrix.columnStride,
  };
  const table = Float32Array.from(forms.flatMap((form) => form.table));
  if (table.length !== 4 * candidates * tableEntries(params)) {
    throw new RangeError(`${table.length / 4} scales for ${candidates * tableEntries(params)} groups`);
  }
  const buffers = { source, table: scope.upload(table, 'table of codes'), statistics: statistics ?? null, values };
  return {
    values,
    candidateStride: candidates === 1 ? 0 : elements,
    matrix: {
      offset: 0,
      outerStride: heads * rows * depth,
      innerStride: rows * depth,
      rowStride: depth,
      columnStride: 1,
    },
    dispatches: [await fakeQuantize(device, buffers, params)],
  };
}

interface Form extends Pick<FakeQuantizeParams, 'low' | 'high' | 'rowGroups' | 'depthGroups' | 'groupPerHead'> {
  readonly kind: FakeQuantizeKind;
  readonly table: readonly number[];
}

/** A quantizer of `rows` lines as `fake_quantize` takes it. */
function formOf(quantizer: LeftQuantizer | RightQuantizer, rows: number): Form {
  const { bits } = quantizer;
  const codes = codeRange(bits, 'restricted' in quantizer ? quantizer.restricted : undefined);
  const one = { ...codes, rowGroups: 1, depthGroups: 1, groupPerHead: 0 } as const;
  switch (quantizer.type) {
    case 'uniform': {
      const { granularity, scales, zeroPoint = 0 } = quantizer;
      const byRows = granularity === 'channel' || granularity === 'part';
      if (byRows && rows % scales.length !== 0) throw new RangeError(`${scales.length} scales for ${rows} features`);
      const groupPerHead = granularity === 'head' ? 1 : 0;
      const table = scales.flatMap((scale) => [scale, 1 / scale, zeroPoint, 0]);
      return { ...one, kind: 'uniform', rowGroups: byRows ? scales.length : 1, groupPerHead, table };
    }
    case 'block': {
      const { rowBlocks, columnBlocks, scales } = quantizer;
      const table = scales.flatMap((scale) => [scale, 1 / scale, 0, 0]);
      return { ...one, kind: 'uniform', rowGroups: rowBlocks, depthGroups: columnBlocks, table };
    }
    case 'per-token':
      return { ...one, kind: 'per-token', table: [codes.high + 0.5, 1 / (codes.high + 0.5), 0, 0] };
    case 'published-softmax': {
      const { split } = quantizer;
      return {
        ...one,
        kind: 'published-softmax',
        table: [split / codes.high, codes.high / split, split, 1 / codes.high],
      };
    }
    case 'published-gelu': {
      const { scales, negativeScale } = quantizer;
      const table = scales.flatMap((scale) => [scale, 1 / scale, negativeScale, 1 / negativeScale]);
      return { ...one, kind: 'signed-ranges', depthGroups: scales.length, table };
    }
    case 'twin-gelu': {
      const [fine, coarse] = [steps(quantizer)[0] as number, quantizer.scaleR2];
      return { ...one, low: -codes.high, kind: 'signed-ranges', table: [coarse, 1 / coarse, fine, 1 / fine] };
    }
    default:
      throw new RangeError(`codes of type ${quantizer.type} have no float product`);
  }
}

/** Statistics of the rows of a linear layer's input. */
async function rowStatistics(
  device: GPUDevice,
  source: GPUBuffer,
  { images, rows, depth }: Lines,
  scope: BufferScope,
): Promise<{ buffer: GPUBuffer; dispatch: Dispatch }> {
  const lines = images * rows;
  const buffer = scope.acquire(16 * lines, 'statistics of tokens');
  const view = { offset: 0, imageStride: depth, headStride: 0, rowStride: 0 };
  const params = { images: lines, heads: 1, rows: 1, columns: depth, view };
  return { buffer, dispatch: await rangeStatistics(device, { source, statistics: buffer }, params) };
}

async function pixelValues(
  device: GPUDevice,
  source: GPUBuffer,
  { images, rows, depth }: Lines,
  scope: BufferScope,
): Promise<FloatOperand> {
  const values = scope.acquire(4 * images * rows * depth, 'pixel values');
  const scales = scope.upload(Float32Array.of(1), 'pixel scale');
  const dispatch = await dequantize(
    device,
    { source, scales, y: values },
    { bits: 8, rows: images * rows, columns: depth },
  );
  const matrix = { offset: 0, outerStride: rows * depth, innerStride: 0, rowStride: depth, columnStride: 1 };
  return { values, candidateStride: 0, matrix, dispatches: [dispatch] };
}

function floatMatrix({ offset, imageStride, headStride, rowStride, columnStride }: StridedMatrix): FloatMatrix {
  return { offset, outerStride: imageStride, innerStride: headStride, rowStride, columnStride };
}
