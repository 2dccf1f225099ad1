import { choleskyUpper, meanDiagonal } from './cholesky.ts';
import { products } from './products.ts';
import { nearestCode, nearestCodes, scaleAt, type WeightGrid } from './weightCodes.ts';

export interface GptqProblem extends WeightGrid {
  /** f64 `[columns, columns]`, `X^T X` of the quantized inputs; symmetric. */
  readonly gram: Float64Array;
  /** Added to the diagonal, in units of its mean. Default 0.01. */
  readonly damping?: number;
}

/** Rows that go through the columns together, so that a row of the factor is read once for all of them. */
const ROWS_TOGETHER = 16;

/**
 * Weight codes column by column, each rounding error made up for by the columns after it (GPTQ; Frantar et al. 2022), in the order of
 * descending diagonals: `|| X W^T - X (s Q)^T ||^2` falls below that of the nearest codes wherever inputs are correlated.
 *
 * The update of all later columns after each one is not carried out. With the damped Gram matrix `H = V V^T`, V upper triangular in the
 * order of the columns, what column j must become so that the columns after it can still make up for everything is
 * `t_j = w_j + sum over l < j of V[l, j] (w_l - s q_l) / V[j, j]`, which is the same number: one factorisation, no inverse, one pass.
 * A column that no input reaches has no other to make up for it: it keeps its nearest code.
 *
 * @returns int8 `[rows, columns]`, within `range`
 * @throws RangeError when the damped Gram matrix is not positive definite
 */
export function gptq(problem: GptqProblem): Int8Array {
  const { weight, rows, columns, scales, range, gram, damping = 0.01 } = problem;
  const mean = meanDiagonal(gram, columns);
  if (!(mean > 0)) return nearestCodes(problem);
  const order = descendingDiagonal(gram, columns).reverse(); // the last column first: V of one order is R^T of the other
  const factor = unitFactor(gram, columns, order, damping * mean);
  const codes = new Int8Array(rows * columns);
  const errors = Array.from({ length: ROWS_TOGETHER }, () => new Float64Array(columns));
  const sums = new Float64Array(ROWS_TOGETHER);
  for (let first = 0; first < rows; first += ROWS_TOGETHER) {
    const together = Math.min(ROWS_TOGETHER, rows - first);
    for (let r = columns - 1; r >= 0; r--) {
      const column = order[r] as number;
      products(factor, r * columns, r + 1, columns, errors, together, sums);
      for (let i = 0; i < together; i++) {
        const row = first + i;
        const value = weight[row * columns + column] as number;
        const scale = scaleAt(scales, rows, columns, row, column);
        const code = nearestCode(value + (sums[i] as number), scale, range);
        codes[row * columns + column] = code;
        (errors[i] as Float64Array)[r] = value - scale * code;
      }
    }
  }
  return codes;
}

/** Columns by descending diagonal; equal ones in ascending order. */
function descendingDiagonal(gram: Float64Array, columns: number): number[] {
  const diagonal = (k: number) => gram[k * columns + k] as number;
  return Array.from({ length: columns }, (_, k) => k).sort((a, b) => diagonal(b) - diagonal(a) || a - b);
}

/** The Cholesky factor of the reordered and damped matrix, each row divided by its diagonal. */
function unitFactor(gram: Float64Array, columns: number, order: readonly number[], damping: number): Float64Array {
  const factor = new Float64Array(columns * columns);
  order.forEach((from, i) => {
    for (let j = i; j < columns; j++) factor[i * columns + j] = gram[from * columns + (order[j] as number)] as number;
    factor[i * columns + i] = (factor[i * columns + i] as number) + damping;
  });
  choleskyUpper(factor, columns);
  for (let i = 0; i < columns; i++) {
    const diagonal = factor[i * columns + i] as number;
    for (let j = i; j < columns; j++) factor[i * columns + j] = (factor[i * columns + j] as number) / diagonal;
  }
  return factor;
}
