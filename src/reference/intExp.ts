import { dyadicRescale16, power } from './fixedPoint.ts';

/** What the twins of the integer nonlinear kernels share: the functions of `lib_int_exp.wgsl`, on exact integers. */

const CEILING = 2 ** 31 - 1;

/**
 * e^(x S) in units of S 2^-octaves by I-ViT's shift exponential (`int_exp_shift` of its code): x is multiplied by 1.0111b, split
 * into whole octaves of `unit = -floor(-1 / S)` and a rest, and 2^-rest is taken as 1 - rest / 2. Saturates at 2^31 - 1.
 */
export function shiftExponential(x: number, unit: number, octaves: number): number {
  const scaled = Math.max(x + Math.floor(x / 2) - Math.floor(x / 16), -octaves * unit);
  const quotient = Math.floor(scaled / -unit);
  const rest = scaled + unit * quotient; // in -unit + 1 .. 0
  return Math.min(Math.floor((rest / 2 + unit) * 2 ** (octaves - quotient)), CEILING);
}

/** unit 2^octaves e^-(distance ln 2 / unit) by the same straight line, without a clamp: whole octaves shift down to 0. */
export function fixedExponential(distance: number, unit: number, octaves: number): number {
  const quotient = Math.floor(distance / unit);
  const rest = distance - quotient * unit;
  return Math.floor(((2 * unit - rest) * power(octaves)) / 2 ** (quotient + 1));
}

/** Bits below 1 of the probabilities that are turned into codes. */
export const PROBABILITY_BITS = 24;

/** part / sum in units of 2^-24, at most 2^-14 of it too small: sum's 16 leading bits, rounded up, have one reciprocal a row. */
export function share(part: number, sum: number): number {
  const up = Math.clz32(sum);
  const leading = Math.floor((sum * power(up)) / 2 ** 16) + 1;
  const reciprocal = Math.floor((2 ** 32 - 1) / leading);
  return Math.floor((part * power(up) * reciprocal) / 2 ** 24); // below 2^49: exact
}

/** Twin code of a probability in units of 2^-24: R1 below `threshold`, half up, clamped. */
export function twinSoftmaxCode(probability: number, bits: number, shift: number, threshold: number): number {
  const flag = power(bits - 1);
  const coarse = probability >= threshold;
  const step = power(PROBABILITY_BITS - (bits - 1) - (coarse ? 0 : shift));
  return Math.min(Math.floor((probability + step / 2) / step), flag - 1) + (coarse ? flag : 0);
}

/** How an integer GELU result becomes a code: |y| multiplier / 2^multiplierShift is its magnitude in R1, 2^-shift of that in R2. */
export interface TwinGeluRescale {
  readonly bits: number;
  readonly shift: number;
  readonly multiplier: number;
  readonly multiplierShift: number;
}

/** Twin code of an integer GELU result: negative R1, positive R2, half away from zero, clamped; magnitude 0 is code 0. */
export function twinGeluCode(y: number, { bits, shift, multiplier, multiplierShift }: TwinGeluRescale): number {
  const flag = power(bits - 1);
  const steps = dyadicRescale16(Math.abs(y), multiplier, multiplierShift + (y > 0 ? shift : 0));
  const magnitude = Math.min(steps, flag - 1);
  return y > 0 && magnitude > 0 ? magnitude + flag : magnitude;
}
