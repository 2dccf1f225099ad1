import { products, TOGETHER } from './products.ts';
import { scaleAt, type WeightGrid } from './weightCodes.ts';

export interface RefineProblem extends WeightGrid {
  /** int8 `[rows, columns]`, within `range`: where the descent begins. */
  readonly codes: Int8Array;
  /** f64 `[columns, columns]`, symmetric and positive semidefinite. */
  readonly gram: Float64Array;
  /** Most flips of a row, in units of its columns. Default 2. */
  readonly passes?: number;
}

/** A flip must lower the error by this share of it: less is rounding. */
const LEAST_GAIN = 1e-12;

/**
 * Codes flipped by one, always the flip that lowers `d G d^T`, `d = w - s q` of a row, the most, until none lowers it: greedy descent on
 * the quadratic error that AdaRound (Nagel et al. 2020) relaxes. The flip of code k by n changes the error by
 * `-2 n s (G d)_k + n^2 s^2 G_kk`; the vector `G d` is kept up to date.
 *
 * @returns int8 `[rows, columns]`, within `range`
 */
export function refine(problem: RefineProblem): Int8Array {
  const { weight, scales, rows, columns, range, gram, passes = 2 } = problem;
  const codes = problem.codes.slice();
  const errors = new Float64Array(columns * TOGETHER);
  const slopes = Array.from({ length: TOGETHER }, () => new Float64Array(columns));
  const sums = new Float64Array(TOGETHER);
  const steps = new Float64Array(columns);
  const diagonal = steps.map((_, k) => gram[k * columns + k] as number);
  for (let first = 0; first < rows; first += TOGETHER) {
    const together = Math.min(TOGETHER, rows - first);
    for (let i = 0; i < together; i++) {
      const at = (first + i) * columns;
      for (let k = 0; k < columns; k++) {
        const value = scaleAt(scales, rows, columns, first + i, k) * (codes[at + k] as number);
        errors[k * TOGETHER + i] = (weight[at + k] as number) - value;
      }
    }
    for (let k = 0; k < columns; k++) {
      products(gram, k * columns, 0, columns, errors, sums);
      for (let i = 0; i < together; i++) (slopes[i] as Float64Array)[k] = sums[i] as number;
    }
    for (let i = 0; i < together; i++) {
      const slope = slopes[i] as Float64Array;
      const own = codes.subarray((first + i) * columns, (first + i + 1) * columns);
      for (let k = 0; k < columns; k++) steps[k] = scaleAt(scales, rows, columns, first + i, k);
      const least = LEAST_GAIN * slope.reduce((total, g, k) => total + g * (errors[k * TOGETHER + i] as number), 0);
      descend(own, { slope, steps, diagonal, gram }, range, least, passes * columns);
    }
  }
  return codes;
}

/** What flips of one row cost; `slope` is kept up to date. */
interface Slopes {
  readonly slope: Float64Array;
  readonly steps: Float64Array;
  readonly diagonal: Float64Array;
  readonly gram: Float64Array;
}

/** At most `most` flips, each of the largest gain above `least`; the first column wins a draw. */
function descend(
  codes: Int8Array,
  { slope, steps, diagonal, gram }: Slopes,
  { low, high }: WeightGrid['range'],
  least: number,
  most: number,
): void {
  const columns = codes.length;
  let [row, change] = [0, 0]; // of the flip before, which the next search takes into the slopes
  for (let flips = 0; flips < most; flips++) {
    let best = least;
    let column = -1;
    for (let k = 0; k < columns; k++) {
      const g = (slope[k] as number) - change * (gram[row + k] as number);
      slope[k] = g;
      const step = steps[k] as number;
      const gain = step * (2 * Math.abs(g) - step * (diagonal[k] as number));
      if (gain <= best) continue;
      const code = codes[k] as number;
      if (g > 0 ? code >= high : code <= low) continue;
      best = gain;
      column = k;
    }
    if (column < 0) return;
    const by = (slope[column] as number) > 0 ? 1 : -1;
    codes[column] = (codes[column] as number) + by;
    change = by * (steps[column] as number);
    row = column * columns;
  }
}
