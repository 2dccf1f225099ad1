import { choleskyUpper } from '../../quantize/cholesky.ts';
import { products, TOGETHER } from './products.ts';

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
  const own = new Float64Array(columns * TOGETHER);
  const right = new Float64Array(columns * TOGETHER);
  for (let first = 0; first < rows; first += TOGETHER) {
    const together = Math.min(TOGETHER, rows - first);
    for (let i = 0; i < together; i++) {
      for (let k = 0; k < columns; k++) own[k * TOGETHER + i] = weight[(first + i) * columns + k] as number;
    }
    for (let k = 0; k < columns; k++) {
      products(difference, k * columns, 0, columns, own, right.subarray(k * TOGETHER, (k + 1) * TOGETHER));
    }
    solve(factor, columns, right);
    for (let i = 0; i < together; i++) {
      for (let k = 0; k < columns; k++) {
        const at = k * TOGETHER + i;
        result[(first + i) * columns + k] = (own[at] as number) + (right[at] as number);
      }
    }
  }
  return result;
}

/** Solves `R^T R x = v` in place for `TOGETHER` vectors, f64 `[columns][TOGETHER]`. */
function solve(factor: Float64Array, columns: number, vectors: Float64Array): void {
  for (let k = 0; k < columns; k++) {
    const diagonal = factor[k * columns + k] as number;
    for (let i = 0; i < TOGETHER; i++) {
      vectors[k * TOGETHER + i] = (vectors[k * TOGETHER + i] as number) / diagonal;
    }
    for (let j = k + 1; j < columns; j++) {
      const f = factor[k * columns + j] as number;
      for (let i = 0; i < TOGETHER; i++) {
        const at = j * TOGETHER + i;
        vectors[at] = (vectors[at] as number) - (vectors[k * TOGETHER + i] as number) * f;
      }
    }
  }
  const sums = new Float64Array(TOGETHER);
  for (let k = columns - 1; k >= 0; k--) {
    products(factor, k * columns, k + 1, columns, vectors, sums);
    for (let i = 0; i < TOGETHER; i++) {
      const at = k * TOGETHER + i;
      vectors[at] = ((vectors[at] as number) - (sums[i] as number)) / (factor[k * columns + k] as number);
    }
  }
}
