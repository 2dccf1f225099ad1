/** A ratio as `multiplier / 2^shift`: the kernels compute `floor((acc * multiplier + 2^(shift - 1)) / 2^shift)`. */
export interface Dyadic {
  readonly multiplier: number;
  readonly shift: number;
}

/**
 * What a rescale leads to, which bounds its shift:
 * - `8`: an accumulator to codes
 * - `int16`: an accumulator to at most 16 bits, wrong by at most 2^-16 of the value, the half of a unit at the largest
 * - `term`: a 16-bit term of a sum to the scale of the sum, by less than 2
 * - `distance`: a distance of up to 16 bits, not negative
 * - `16`: anything, with a multiplier of 31 bits
 */
export type DyadicForm = 8 | 16 | 'int16' | 'term' | 'distance';

/** Bits of the multiplier, least and most shift. */
export const DYADIC_FORMS: Readonly<
  Record<DyadicForm, readonly [bits: number, leastShift: number, mostShift: number]>
> = {
  8: [15, 17, 46],
  int16: [15, 1, 46],
  term: [15, 14, 30],
  distance: [15, 1, 30],
  16: [31, 1, 62],
};

/** Least ratio that a form holds with a multiplier of full length. */
export function leastRatio(form: DyadicForm): number {
  const [bits, , mostShift] = DYADIC_FORMS[form];
  return 2 ** (bits - 1 - mostShift);
}

/** Ratios from here on have no dyadic number of a form, but for those that round down to its largest. */
export function ratioBound(form: DyadicForm): number {
  const [bits, leastShift] = DYADIC_FORMS[form];
  return 2 ** (bits - leastShift);
}

/**
 * The nearest dyadic number of a form.
 *
 * @throws RangeError on a ratio that has none
 */
export function dyadic(ratio: number, form: DyadicForm): Dyadic {
  const [bits, leastShift, mostShift] = DYADIC_FORMS[form];
  let shift = bits - 1 - Math.floor(Math.log2(ratio));
  if (Math.round(ratio * 2 ** shift) < 2 ** (bits - 1)) shift++;
  if (Math.round(ratio * 2 ** shift) >= 2 ** bits) shift--;
  if (!(shift >= leastShift && shift <= mostShift)) {
    const range = `2^${bits - 1 - mostShift}..2^${bits - leastShift}`;
    const target = typeof form === 'number' ? `${form} bits` : form;
    throw new RangeError(`a rescale to ${target} by ${ratio} is outside ${range}`);
  }
  return { multiplier: Math.round(ratio * 2 ** shift), shift };
}

/** What is wrong with a dyadic number of a form; a multiplier of 15 bits has its top bit set. */
export function dyadicFault({ multiplier, shift }: Dyadic, form: DyadicForm): string | undefined {
  const [bits, leastShift, mostShift] = DYADIC_FORMS[form];
  const [least, most] = [bits === 15 ? 2 ** 14 : 1, 2 ** bits - 1];
  if (!(Number.isInteger(multiplier) && multiplier >= least && multiplier <= most)) {
    return `multiplier ${multiplier}, wanted ${least}..${most}`;
  }
  if (Number.isInteger(shift) && shift >= leastShift && shift <= mostShift) return undefined;
  return `shift ${shift}, wanted ${leastShift}..${mostShift}`;
}

/**
 * Multipliers and shifts as a rescaling kernel binds them: pairs, the multiplier first.
 *
 * @returns u32 `[entries][2]`
 */
export function packDyadics(entries: readonly Dyadic[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(entries.flatMap(({ multiplier, shift }) => [multiplier, shift]));
}
