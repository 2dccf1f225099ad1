import type { GpuContext } from '../../quantize/context.ts';
import type { LayerProblem } from '../layerScorer.ts';
import { addColumnSums } from './columnSums.ts';
import { layerProduct, uploadWeight, type ProductWeight } from './layerProduct.ts';

/** A linear layer as it would be deployed. */
export interface WeightCodes extends Pick<ProductWeight, 'a' | 'b'> {
  /** int8 `[columns, depth]` */
  readonly codes: Int8Array;
  /** f32 `[columns]` */
  readonly bias: Float32Array | null;
}

/**
 * Mean of float minus quantized output over the rows of all images, `E[y] - E[y^]` of each column: what the bias lacks (data-dependent
 * bias correction; Nagel et al. 2019, section 4.2). The quantized output is the exact integer product that inference computes.
 *
 * @param rowWeights f32, one for each row of every image in order: what a row counts; not all 0
 * @returns f64 `[columns]`
 */
export async function meanOutputError(
  context: GpuContext,
  problem: Pick<LayerProblem, 'geometry' | 'chunks'>,
  { codes, bias, a, b }: WeightCodes,
  rowWeights: Float32Array,
): Promise<Float64Array> {
  const { rows, columns } = problem.geometry;
  const sums = new Float64Array(columns);
  const whole = context.pool.scope();
  try {
    const weight = uploadWeight(codes, bias, { a, b }, columns, whole);
    let firstRow = 0;
    for (const chunk of problem.chunks) {
      const scope = context.pool.scope();
      try {
        const product = await layerProduct(context, problem, chunk, weight, scope);
        const shape = { images: chunk.images, rows, columns };
        const weights = rowWeights.subarray(firstRow, firstRow + chunk.images * rows);
        await addColumnSums(context, chunk.output, shape, weights, sums, 1);
        await addColumnSums(context, product, shape, weights, sums, -1);
        firstRow += chunk.images * rows;
      } finally {
        scope.release();
      }
    }
  } finally {
    whole.release();
  }
  const count = rowWeights.reduce((total, weight) => total + weight, 0);
  return sums.map((value) => value / count);
}

/** `bias + error`, rounded to f32 once; a layer without a bias gets one. */
export function correctedBias(bias: Float32Array | null, error: Float64Array): Float32Array {
  return Float32Array.from(error, (value, i) => value + (bias?.[i] ?? 0));
}
