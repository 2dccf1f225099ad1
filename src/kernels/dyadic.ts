/** A ratio as `multiplier / 2^shift`: the kernels compute `floor((acc * multiplier + 2^(shift - 1)) / 2^shift)`. */
export interface Dyadic {
  readonly multiplier: number;
  readonly shift: number;
}

/**
 * The nearest dyadic form of a rescale to codes of `width` bits: a 15-bit multiplier and a shift of 17..46 for 8, a 31-bit
 * multiplier and a shift of 1..62 for 16.
 *
 * @throws RangeError on a ratio that has none
 */
export function dyadic(ratio: number, width: 8 | 16): Dyadic {
  const [bits, leastShift, mostShift] = width === 8 ? [15, 17, 46] : [31, 1, 62];
  let shift = bits - 1 - Math.floor(Math.log2(ratio));
  if (Math.round(ratio * 2 ** shift) < 2 ** (bits - 1)) shift++;
  if (Math.round(ratio * 2 ** shift) >= 2 ** bits) shift--;
  if (!(shift >= leastShift && shift <= mostShift)) {
    const range = `2^${bits - 1 - mostShift}..2^${bits - leastShift}`;
    throw new RangeError(`a rescale to ${width} bits by ${ratio} is outside ${range}`);
  }
  return { multiplier: Math.round(ratio * 2 ** shift), shift };
}

/**
 * Multipliers and shifts as a rescaling kernel binds them: pairs, the multiplier first.
 *
 * @returns u32 `[entries][2]`
 */
export function packDyadics(entries: readonly Dyadic[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(entries.flatMap(({ multiplier, shift }) => [multiplier, shift]));
}
