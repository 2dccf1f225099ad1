import type { CodeRange } from '../../quantize/codeRange.ts';
import { roundHalfEven } from '../../reference/codes.ts';
import { uniformCode } from '../../reference/quantizeUniform.ts';

/** A float weight and the grid that its codes lie on. */
export interface WeightGrid {
  /** f32 `[rows, columns]`, output features by input features. */
  readonly weight: Float32Array;
  /** f32: one scale for each of equal runs of columns of every row, `[rows, runs]`; a scale a row where there is one run. */
  readonly scales: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly range: CodeRange;
}

/** The code whose value is nearest to `value`; of two that are as near the even one. */
export function nearestCode(value: number, scale: number, { low, high }: CodeRange): number {
  return Math.max(low, Math.min(roundHalfEven(value / scale), high)) + 0; // -0 + 0 is 0
}

/** The codes that the search scored: `clamp(round(w f32(1 / scale)))` as its kernel rounds. */
export function nearestCodes({ weight, scales, rows, columns, range }: WeightGrid): Int8Array {
  const codes = new Int8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const inverse = Math.fround(1 / scaleAt(scales, rows, columns, row, column));
      const code = uniformCode(weight[row * columns + column] as number, inverse, 8);
      codes[row * columns + column] = Math.max(range.low, Math.min(code, range.high));
    }
  }
  return codes;
}

/** The scale of one element. */
export function scaleAt(scales: Float32Array, rows: number, columns: number, row: number, column: number): number {
  const runs = scales.length / rows;
  return scales[row * runs + Math.floor((column * runs) / columns)] as number;
}

/** f32 `[rows, columns]`: what codes stand for. Quantized again with the same scales it gives the same codes. */
export function codeValues(
  codes: Int8Array,
  { scales, rows, columns }: Omit<WeightGrid, 'weight' | 'range'>,
): Float32Array {
  const values = new Float32Array(codes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const i = row * columns + column;
      values[i] = (codes[i] as number) * scaleAt(scales, rows, columns, row, column);
    }
  }
  return values;
}
