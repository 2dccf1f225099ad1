import { packRowMajor } from './codes.ts';
import { power } from './fixedPoint.ts';
import { fixedExponential, twinGeluCode } from './intExp.ts';
import { nearestCode, packPlanes, type NonlinearCodes } from './levels.ts';

/** The integers of a method; see `geluConstants` of the kernel. */
export type IntGeluConstants =
  | { readonly method: 'shift-fixed'; readonly unit: number; readonly fraction: number; readonly octaves: number }
  | {
      readonly method: 'poly';
      readonly fraction: number;
      readonly bound: number;
      readonly constant: number;
      readonly places: number;
      readonly offset: number;
    }
  | { readonly method: 'lut'; readonly places: number; readonly table: Uint32Array };

/** x times an integer that stands for sigmoid(1.702 x) or Phi(x); its unit is the `resultUnit` of `geluConstants`. */
export function intGelu(x: number, constants: IntGeluConstants): number {
  const size = Math.abs(x);
  switch (constants.method) {
    case 'shift-fixed': {
      const { unit, fraction, octaves } = constants;
      const one = unit * power(octaves);
      const exponential = fixedExponential(size * power(fraction), unit, octaves);
      const numerator = (x < 0 ? exponential : one) * 2 ** 15;
      return x * Math.floor((numerator + Math.floor((one + exponential) / 2)) / (one + exponential));
    }
    case 'poly': {
      const { fraction, bound, constant, places, offset } = constants;
      const clipped = Math.min(size * power(fraction), bound);
      const erf = Math.floor((Math.sign(x) * ((clipped - bound) ** 2 - constant)) / power(places));
      return x * (offset - erf) || 0; // never -0
    }
    case 'lut': {
      const { places, table } = constants;
      const index = Math.floor(size / power(places));
      const [from, to] = [table[index] ?? 0, table[index + 1] ?? 0];
      const way = dyadicLine((to - from) * (size % power(places)), places);
      const tail = from + way;
      return (x > 0 ? x * 2 ** 15 : 0) - tail || 0; // never -0
    }
  }
}

/** value / 2^places, half toward +infinity. */
function dyadicLine(value: number, places: number): number {
  return Math.floor(value / power(places) + 0.5);
}

export interface IntGeluReferenceParams {
  readonly columns: number;
  readonly bits: number;
  readonly shift: number;
  /** Default twin codes. */
  readonly codes?: NonlinearCodes;
  readonly constants:
    | (IntGeluConstants & { readonly multiplier: number; readonly multiplierShift: number })
    | { readonly method: 'lut-codes'; readonly table: Uint32Array };
}

/** Reference of `int_gelu.wgsl` on unpacked input codes `[rows][columns]`: packed codes `[rows][planes][ceil(columns / 4)]`. */
export function intGeluReference(
  values: ArrayLike<number>,
  { columns, bits, shift, codes = { kind: 'twin' }, constants }: IntGeluReferenceParams,
): Uint32Array {
  if (codes.kind !== 'twin' && constants.method !== 'lut-codes') {
    const dyadic = { multiplier: constants.multiplier, shift: constants.multiplierShift };
    const results = Array.from(values, (x) => nearestCode(intGelu(x, constants), dyadic, codes, bits));
    return packPlanes(results, columns, codes, 'gelu');
  }
  const twins = Array.from(values, (x) => {
    if (constants.method === 'lut-codes') {
      const index = x < 0 ? x + 256 : x;
      return ((constants.table[Math.floor(index / 4)] as number) >>> (8 * (index % 4))) & 0xff;
    }
    const { multiplier, multiplierShift } = constants;
    return twinGeluCode(intGelu(x, constants), { bits, shift, multiplier, multiplierShift });
  });
  return packRowMajor(twins, values.length / columns, columns);
}
