import type { Bindable } from '../gpu/kernel.ts';
import { checkRoom } from './codes.ts';
import { levelEntries, type LevelOperand } from './quantizeLevels.ts';

/** Codes other than twin ranges that an integer softmax or GELU writes, and the table of levels that it binds. */

/**
 * - `twin`: the default
 * - `uniform`: one scale, the result rescaled to it and clamped to `bits`
 * - `levels`: increasing integers in two planes; the result rescaled to eighths of their unit takes the nearest
 */
export type NonlinearCodes =
  { readonly kind: 'twin' | 'uniform' } | { readonly kind: 'levels'; readonly levels: readonly number[] };

/** Parts of a level's unit that the result is rescaled to before it takes a level: the largest then stays below 2^17. */
export const LEVEL_FRACTION = 8;

/** The table that a kernel binds: the `own` entries of its method, then the levels. */
export function withLevels(own: Uint32Array | undefined, levels: readonly number[]): Uint32Array<ArrayBuffer> {
  const table = new Uint32Array((own?.length ?? 0) + levels.length);
  if (own) table.set(own);
  table.set(Int32Array.from(levels), own?.length ?? 0);
  return table;
}

/**
 * Parameters and override of the shaders for `codes`, behind `own` entries of the method in `table`.
 *
 * @throws RangeError on levels out of order or range, or a table too small
 */
export function levelParameters(
  codes: NonlinearCodes,
  operand: LevelOperand,
  own: number,
  table: Bindable | null,
): { readonly params: { first_level: number; last_level: number }; readonly code: number; readonly planes: 1 | 2 } {
  if (codes.kind !== 'levels') {
    return { params: { first_level: 0, last_level: 0 }, code: codes.kind === 'twin' ? 0 : 3, planes: 1 };
  }
  const { levels } = codes;
  levelEntries({ operand, bits: 8, step: 1, levels }); // throws on levels that are none
  if (!table) throw new RangeError(`codes of ${levels.length} levels need their table, got none`);
  checkRoom('table', table, own + levels.length);
  const last = own + levels.length - 1;
  return { params: { first_level: own, last_level: last }, code: operand === 'softmax' ? 1 : 2, planes: 2 };
}
