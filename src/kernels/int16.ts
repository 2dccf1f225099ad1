import { checkIntegers } from './codes.ts';
import type { Dyadic } from './dyadic.ts';

/** u32 words of a row of 16-bit integers: two a word, padded with zeros. */
export function int16Words(columns: number): number {
  return Math.ceil(columns / 2);
}

/** @throws RangeError unless `dyadic` is one that the rescale to 16 bits is exact for: a multiplier of 31 bits, a shift of 1..62 */
export function checkDyadic16(name: string, { multiplier, shift }: Dyadic): void {
  checkIntegers({ [`multiplier of ${name}`]: multiplier, [`shift of ${name}`]: shift }, 1);
  if (multiplier >= 2 ** 31) throw new RangeError(`multiplier of ${name} must be below 2^31, got ${multiplier}`);
  if (shift > 62) throw new RangeError(`shift of ${name} must be at most 62, got ${shift}`);
}
