import { choleskyUpper } from './cholesky.ts';
import { products } from './products.ts';

const ROWS_TOGETHER = 16;

/**
 * The weight that makes up for the rounding of its inputs (Aqer of ERQ; Zhong et al. 2024): the minimum of
 * `|| X W^T - X^ W'^T ||^2 + lambda || W' - W ||^2`, in closed form `W' = W + W (C - G)^T (G + lambda I)^-1` with
 * `G = X^^T X^`, `C = X^^T X`.
 *
 * @param weight f32 `[rows, columns]`
 * @param quantizedGram f64 `[columns, columns]`, G
 * @param crossGram f64 `[columns, columns]`, C
 * @param lambda above 0, in the units of G
 * @returns f32 `[rows, columns]`
 * @throws RangeError when `G + lambda I` is not positive definite
 */
export function ridgeWeights(
  weight: Float32Array,
  quantizedGram: Float64Array,
  crossGram: Float64Array,
  lambda: number,
): Float32Array {
  const columns = Math.sqrt(quantizedGram.length);
  const rows = weight.length / columns;
  const factor = quantizedGram.slice();
  for (let k = 0; k < columns; k++) factor[k * columns + k] = (factor[k * columns + k] as number) + lambda;
  choleskyUpper(factor, columns);
  const difference = crossGram.map((value, i) => value - (quantizedGram[i] as number));
  const result = new Float32Array(weight.length);
  const right = Array.from({ length: ROWS_TOGETHER }, () => new Float64Array(columns));
  const sums = new Float64Array(ROWS_TOGETHER);
  for (let first = 0; first < rows; first += ROWS_TOGETHER) {
    const together = Math.min(ROWS_TOGETHER, rows - first);
    const own = Array.from({ length: together }, (_, i) =>
      Float64Array.from(weight.subarray((first + i) * columns, (first + i + 1) * columns)),
    );
    for (let k = 0; k < columns; k++) {
      products(difference, k * columns, 0, columns, own, together, sums);
      for (let i = 0; i < together; i++) (right[i] as Float64Array)[k] = sums[i] as number;
    }
    solve(factor, columns, right, together);
    for (let i = 0; i < together; i++) {
      for (let k = 0; k < columns; k++) {
        result[(first + i) * columns + k] = (own[i]?.[k] as number) + (right[i]?.[k] as number);
      }
    }
  }
  return result;
}

/** Solves `R^T R x = v` in place for the first `count` vectors. */
function solve(factor: Float64Array, columns: number, vectors: readonly Float64Array[], count: number): void {
  for (let k = 0; k < columns; k++) {
    const diagonal = factor[k * columns + k] as number;
    for (let i = 0; i < count; i++) {
      const vector = vectors[i] as Float64Array;
      const value = (vector[k] as number) / diagonal;
      vector[k] = value;
      for (let j = k + 1; j < columns; j++) {
        vector[j] = (vector[j] as number) - value * (factor[k * columns + j] as number);
      }
    }
  }
  const sums = new Float64Array(count);
  for (let k = columns - 1; k >= 0; k--) {
    products(factor, k * columns, k + 1, columns, vectors, count, sums);
    for (let i = 0; i < count; i++) {
      const vector = vectors[i] as Float64Array;
      vector[k] = ((vector[k] as number) - (sums[i] as number)) / (factor[k * columns + k] as number);
    }
  }
}
