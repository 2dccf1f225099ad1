import { submit } from '../../gpu/kernel.ts';
import { readF32 } from '../../gpu/readback.ts';
import { copyRowsF32 } from '../../kernels/copyRowsF32.ts';
import { denseMatrix, matmulF32, type StridedMatrix } from '../../kernels/matmulF32.ts';
import { scaleRowsF32 } from '../../kernels/scaleRowsF32.ts';
import type { GpuContext } from '../../quantize/context.ts';
import type { LeftQuantizer } from '../../quantize/floatQuantizer.ts';
import type { LayerProblem } from '../layerScorer.ts';
import { addColumnSums } from './columnSums.ts';
import { quantizedInputs } from './quantizedInputs.ts';

/** Products of a layer's inputs over all rows of all images: X captured, X^ quantized and dequantized; D what rows count. */
export interface GramMatrices {
  /** f64 `[depth, depth]`, `X^^T D X^`; symmetric to the bit. */
  readonly quantized: Float64Array;
  /** f64 `[depth, depth]`, `X^^T D X`; absent unless asked for. */
  readonly cross: Float64Array | undefined;
}

export interface GramOptions {
  /** f32, one for each row of every image in order: what a row counts. Default 1. */
  readonly rowWeights?: Float32Array | undefined;
  /** Whether `cross` is wanted. Default false. */
  readonly cross?: boolean;
  /** Take the means off: for errors whose mean a bias takes up. Default false. */
  readonly centred?: boolean;
}

/** Rows of a matrix that are computed together: half the work of a symmetric one is left out in steps of these. */
const PANEL = 256;

/** Most bytes of partial matrices on the device at once; one image of one panel may take more. */
const BATCH_BYTES = 48 * 2 ** 20;

/**
 * Gram matrices of a linear layer's captured inputs. The device multiplies the rows of one image in f32 in index order; images are
 * added in double in order, so that neither chunks nor batches change a bit. Memory: one or two matrices in host memory; on the
 * device the inputs of one chunk twice (three times with weights), the identity in codes, and a panel of each image of a batch.
 */
export async function gramMatrices(
  context: GpuContext,
  problem: Pick<LayerProblem, 'geometry' | 'chunks'>,
  a: LeftQuantizer,
  { rowWeights, cross = false, centred = false }: GramOptions = {},
): Promise<GramMatrices> {
  const { rows, depth } = problem.geometry;
  const quantized = new Float64Array(depth * depth);
  const pixels = a.type === 'pixels'; // exact: X^ = X
  const crossed = cross ? (pixels ? quantized : new Float64Array(depth * depth)) : undefined;
  const [sums, crossSums] = [new Float64Array(depth), new Float64Array(depth)];
  let total = 0;
  const whole = context.pool.scope();
  try {
    const inputsOf = quantizedInputs(context, problem, a, whole);
    let firstRow = 0;
    for (const chunk of problem.chunks) {
      const scope = context.pool.scope();
      try {
        const count = chunk.images * rows;
        const values = await inputsOf(chunk, scope);
        let counted = values;
        if (rowWeights) {
          counted = scope.acquire(4 * count * depth, 'weighted inputs');
          const weights = scope.upload(rowWeights.subarray(firstRow, firstRow + count), 'row weights');
          const buffers = { source: values, factors: weights, destination: counted };
          submit(context.device, [await scaleRowsF32(context.device, buffers, { rows: count, columns: depth })]);
        }
        const shape = { images: chunk.images, rows, depth };
        const left = scope.acquire(4 * chunk.images * depth * paddedRows(rows), 'transposed inputs');
        await transpose(context, counted, left, shape);
        await addProducts(context, left, values, shape, denseMatrix(rows, depth), quantized, true);
        if (crossed && !pixels) {
          const { offset, imageStride, rowStride, columnStride } = problem.geometry.a;
          const view = { offset, outerStride: imageStride, innerStride: 0, rowStride, columnStride };
          await addProducts(context, left, chunk.a, shape, view, crossed, false);
        }
        if (centred) {
          const weights = rowWeights?.subarray(firstRow, firstRow + count) ?? new Float32Array(count).fill(1);
          total += weights.reduce((sum, weight) => sum + weight, 0);
          const columns = { images: chunk.images, rows, columns: depth };
          await addColumnSums(context, values, columns, weights, sums, 1);
          if (crossed && !pixels) await addColumnSums(context, chunk.a, columns, weights, crossSums, 1);
        }
        firstRow += count;
      } finally {
        scope.release();
      }
    }
  } finally {
    whole.release();
  }
  if (centred) {
    takeOff(quantized, sums, sums, total);
    if (crossed && !pixels) takeOff(crossed, sums, crossSums, total);
  }
  for (let i = 0; i < depth; i++) {
    for (let j = i + 1; j < depth; j++) quantized[j * depth + i] = quantized[i * depth + j] as number;
  }
  return { quantized, cross: crossed };
}

/** `matrix -= left right^T / count`. */
function takeOff(matrix: Float64Array, left: Float64Array, right: Float64Array, count: number): void {
  const depth = left.length;
  for (let i = 0; i < depth; i++) {
    const mean = (left[i] as number) / count;
    for (let j = 0; j < depth; j++) {
      matrix[i * depth + j] = (matrix[i * depth + j] as number) - mean * (right[j] as number);
    }
  }
}

/** Rows of a transposed matrix begin at multiples of four elements: the product then reads four at a time. */
function paddedRows(rows: number): number {
  return 4 * Math.ceil(rows / 4);
}

interface Shape {
  readonly images: number;
  readonly rows: number;
  readonly depth: number;
}

/** `[images][rows][depth]` to `[images][depth][paddedRows]`; the padding is never read. */
async function transpose(
  { device }: GpuContext,
  source: GPUBuffer,
  destination: GPUBuffer,
  { images, rows, depth }: Shape,
): Promise<void> {
  for (let image = 0; image < images; image++) {
    const shape = { images: depth, rows, columns: 1, sourceOuter: 1, sourceRow: depth, targetOuter: paddedRows(rows) };
    const places = { sourceOffset: image * rows * depth, targetOffset: image * depth * paddedRows(rows), targetRow: 1 };
    submit(device, [await copyRowsF32(device, { source, destination }, { ...shape, ...places })]);
  }
}

/** `total += left right`, left `[images][depth][paddedRows]`, summed over images; where `upper`, only from the panels of the upper triangle. */
async function addProducts(
  { device, pool }: GpuContext,
  left: GPUBuffer,
  right: GPUBuffer,
  { images, rows, depth }: Shape,
  rightView: StridedMatrix,
  total: Float64Array,
  upper: boolean,
): Promise<void> {
  for (let first = 0; first < depth; first += PANEL) {
    const height = Math.min(PANEL, depth - first);
    const from = upper ? first : 0;
    const width = depth - from;
    const together = Math.max(1, Math.min(images, Math.floor(BATCH_BYTES / (4 * height * width))));
    for (let image = 0; image < images; image += together) {
      const count = Math.min(together, images - image);
      const scope = pool.scope();
      try {
        const panel = scope.acquire(4 * count * height * width, 'Gram panel');
        const step = paddedRows(rows);
        const a = { offset: (image * depth + first) * step, outerStride: depth * step, innerStride: 0 };
        const dispatch = await matmulF32(
          device,
          { a: left, b: right, bias: null, c: panel },
          {
            rows: height,
            columns: width,
            depth: rows,
            heads: 1,
            images: count,
            a: { ...a, rowStride: step, columnStride: 1 },
            b: {
              ...rightView,
              offset: rightView.offset + image * rightView.outerStride + from * rightView.columnStride,
            },
            c: denseMatrix(height, width),
          },
        );
        submit(device, [dispatch]);
        const values = await readF32(device, panel, count * height * width);
        for (let i = 0, next = 0; i < count; i++) {
          for (let row = first; row < first + height; row++) {
            for (let at = row * depth + from; at < (row + 1) * depth; at++, next++) {
              total[at] = (total[at] as number) + (values[next] as number);
            }
          }
        }
      } finally {
        scope.release();
      }
    }
  }
}
