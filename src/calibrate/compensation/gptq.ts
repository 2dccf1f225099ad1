import { choleskyUpper, meanDiagonal } from '../../quantize/cholesky.ts';
import { products, TOGETHER } from './products.ts';
import { nearestCode, scaleAt, type WeightGrid } from './weightCodes.ts';

/** A damped Gram matrix, ready to compensate any weight whose inputs it is of. */
export interface GptqFactor {
  readonly columns: number;
  /** Columns, the last to be rounded first. */
  readonly order: readonly number[];
  /** Upper triangular Cholesky factor of the matrix in that order, every row divided by its diagonal. */
  readonly unit: Float64Array;
  /** Those diagonals squared: what an error of each column costs that no later column can make up for. */
  readonly pivots: Float64Array;
}

/** Codes of a weight and the error of each of its rows. */
export interface CompensatedCodes {
  /** int8 `[rows, columns]`, within the range of the grid */
  readonly codes: Int8Array;
  /** `d H d^T`, H damped, d = weight - scale * codes of a row. */
  readonly errors: Float64Array;
}

/** The least diagonal that damping is reckoned from, in units of the mean: columns that no input reaches have none. */
const LEAST_DIAGONAL = 0.01;

/**
 * Factors a Gram matrix for `gptq`, the columns in the order of descending diagonals.
 *
 * @param gram f64 `[columns, columns]`, of the quantized inputs; symmetric
 * @param damping added to each diagonal in units of itself: an input of massive outliers says nothing of how much the others may bend
 * A matrix that rounding has left indefinite, of inputs that hardly vary beside the mean that was taken off, is damped ten times more,
 * twice at most.
 *
 * @returns undefined for a matrix of zeros, or of nothing but rounding errors
 */
export function gptqFactor(gram: Float64Array, columns: number, damping = 0.01): GptqFactor | undefined {
  const mean = meanDiagonal(gram, columns);
  if (!(mean > 0)) return undefined;
  for (const more of [1, 10, 100]) {
    const factor = factorDamped(gram, columns, mean, more * damping);
    if (factor) return factor;
  }
  return undefined;
}

/** Undefined when the damped matrix is not positive definite. */
function factorDamped(gram: Float64Array, columns: number, mean: number, damping: number): GptqFactor | undefined {
  const order = descendingDiagonal(gram, columns).reverse();
  const unit = new Float64Array(columns * columns);
  order.forEach((from, i) => {
    for (let j = i; j < columns; j++) unit[i * columns + j] = gram[from * columns + (order[j] as number)] as number;
    const diagonal = unit[i * columns + i] as number;
    unit[i * columns + i] = diagonal + damping * Math.max(diagonal, LEAST_DIAGONAL * mean);
  });
  try {
    choleskyUpper(unit, columns);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  const pivots = new Float64Array(columns);
  for (let i = 0; i < columns; i++) {
    const diagonal = unit[i * columns + i] as number;
    pivots[i] = diagonal * diagonal;
    for (let j = i; j < columns; j++) unit[i * columns + j] = (unit[i * columns + j] as number) / diagonal;
  }
  return { columns, order, unit, pivots };
}

/**
 * Weight codes column by column, each rounding error made up for by the columns after it (GPTQ; Frantar et al. 2022):
 * `|| X W^T - X (s Q)^T ||^2` falls below that of the nearest codes wherever inputs are correlated.
 *
 * The update of all later columns after each one is not carried out. With the damped Gram matrix `H = V V^T`, V upper triangular in the
 * order of the columns, what column j must become so that the columns after it can still make up for everything is
 * `t_j = w_j + sum over l < j of V[l, j] (w_l - s q_l) / V[j, j]`, which is the same number, and what it then leaves is
 * `V[j, j]^2 (t_j - s q_j)^2`: one factorisation, no inverse, one pass. A column that no input reaches keeps its nearest code.
 */
export function gptq({ columns, order, unit, pivots }: GptqFactor, grid: WeightGrid): CompensatedCodes {
  const { weight, rows, scales, range } = grid;
  const codes = new Int8Array(rows * columns);
  const errors = new Float64Array(rows);
  const differences = new Float64Array(columns * TOGETHER);
  const sums = new Float64Array(TOGETHER);
  for (let first = 0; first < rows; first += TOGETHER) {
    const end = Math.min(first + TOGETHER, rows);
    for (let r = columns - 1; r >= 0; r--) {
      const column = order[r] as number;
      products(unit, r * columns, r + 1, columns, differences, sums);
      for (let row = first; row < end; row++) {
        const value = weight[row * columns + column] as number;
        const target = value + (sums[row - first] as number);
        const scale = scaleAt(scales, rows, columns, row, column);
        const code = nearestCode(target, scale, range);
        codes[row * columns + column] = code;
        differences[r * TOGETHER + row - first] = value - scale * code;
        errors[row] = (errors[row] as number) + (pivots[r] as number) * (target - scale * code) ** 2;
      }
    }
  }
  return { codes, errors };
}

/** Columns by descending diagonal; equal ones in ascending order. */
function descendingDiagonal(gram: Float64Array, columns: number): number[] {
  const diagonal = (k: number) => gram[k * columns + k] as number;
  return Array.from({ length: columns }, (_, k) => k).sort((a, b) => diagonal(b) - diagonal(a) || a - b);
}
