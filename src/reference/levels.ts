import { packRowMajor } from './codes.ts';
import { dyadicRescale16 } from './fixedPoint.ts';

/** The functions of `lib_levels.wgsl`, on exact integers. */

/** Which codes a nonlinear operation writes; see the kernels. */
export type NonlinearCodes =
  { readonly kind: 'twin' | 'uniform' } | { readonly kind: 'levels'; readonly levels: readonly number[] };

/** `value` multiplier / 2^shift as a level, counted in eighths of its unit, or as a uniform code of `bits`. */
export function nearestCode(
  value: number,
  { multiplier, shift }: { readonly multiplier: number; readonly shift: number },
  codes: NonlinearCodes,
  bits: number,
): number {
  const rescaled = dyadicRescale16(value, multiplier, shift);
  if (codes.kind !== 'levels') {
    const q = 2 ** (bits - 1);
    return Math.max(-q, Math.min(rescaled, q - 1));
  }
  const { levels } = codes;
  let nearest = levels[0] as number;
  for (let i = 1; i < levels.length; i++) {
    const level = levels[i] as number;
    if (rescaled >= 4 * ((levels[i - 1] as number) + level)) nearest = level;
  }
  return nearest;
}

/**
 * Codes or levels `[rows][columns]` as a product reads them: uniform codes packed as they are; levels as two planes of twin codes
 * of shift 7, 128 high + low after softmax and 128 high - low after GELU, `[rows][2][words]`.
 */
export function packPlanes(
  values: readonly number[],
  columns: number,
  codes: NonlinearCodes,
  operand: 'softmax' | 'gelu',
): Uint32Array {
  if (codes.kind !== 'levels') return packRowMajor(values, values.length / columns, columns);
  const planes: number[] = [];
  for (let first = 0; first < values.length; first += columns) {
    const row = values.slice(first, first + columns);
    const high = row.map((level) => Math.floor(operand === 'softmax' ? level / 128 : (level + 127) / 128));
    planes.push(...high.map((code) => (code > 0 ? 128 + code : 0)));
    planes.push(...row.map((level, i) => Math.abs(level - 128 * (high[i] as number))));
  }
  return packRowMajor(planes, planes.length / columns, columns);
}
