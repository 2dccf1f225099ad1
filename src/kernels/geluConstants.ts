import { checkBits } from './codes.ts';
import { dyadic } from './dyadic.ts';

/** |y| multiplier / 2^multiplierShift is the magnitude of y in R1, 2^-shift of that the magnitude in R2. */
export interface GeluRescale {
  readonly multiplier: number;
  readonly multiplierShift: number;
}

/** The integers by which a method computes GELU; they go into the model file. S is the real step of an input code. */
export type IntGeluConstants =
  /** I-ViT's ShiftGELU as published: n = 23, `unit` = -floor(-1 / (1.702 S)). */
  | ({ readonly method: 'shift'; readonly unit: number } & GeluRescale)
  /** sigmoid(1.702 |x|), mirrored; `unit` = round(2^fraction ln 2 / (1.702 S)) is an octave, `octaves` its resolution in bits. */
  | ({
      readonly method: 'shift-fixed';
      readonly unit: number;
      readonly fraction: number;
      readonly octaves: number;
    } & GeluRescale)
  /** I-BERT's i-gelu with S' = S / 2^fraction: x (offset - floor(sign ((min(|x|, bound) - bound)^2 - constant) / 2^places)). */
  | ({
      readonly method: 'poly';
      readonly fraction: number;
      readonly bound: number;
      readonly constant: number;
      readonly places: number;
      readonly offset: number;
    } & GeluRescale)
  /** relu(x) - tail(|x|), the tail from 256 entries 2^places codes apart, joined by lines. */
  | ({ readonly method: 'lut'; readonly places: number; readonly table: Uint32Array } & GeluRescale)
  /** The twin code of each of the 256 input codes, four a word. */
  | { readonly method: 'lut-codes'; readonly table: Uint32Array };

export type IntGeluMethod = IntGeluConstants['method'];

/** I-ViT's n for ShiftGELU. */
export const SHIFT_GELU_OCTAVES = 23;
/** Where the tail |x| Phi(-|x|) is below 1e-7. */
const TAIL_END = 5.5;
const FIXED_UNIT_BITS = 11;
const POLY_BOUND_BITS = 14;
/** Bits below an input step of the results of `shift-fixed` and `lut`. */
const RESULT_BITS = 15;
/** Constants of I-BERT's code: sqrt 2, and a (x + b)^2 + 1 for erf. */
const I_GELU = { root2: 1.4142, a: -0.2888, b: -1.769, places: 14 };

export interface GeluScales {
  /** Real step of an input code. */
  readonly scale: number;
  readonly inputBits: 8 | 16;
  /** Twin codes of the result: their width, the shift m and the real step of R1. */
  readonly bits: number;
  readonly shift: number;
  readonly scaleR1: number;
}

/**
 * The integers of `method`, and the real size of one unit of the result before it becomes a code.
 *
 * @throws RangeError when no integers of the method stay inside int32, with the numbers
 */
export function geluConstants(
  method: IntGeluMethod,
  scales: GeluScales,
): { readonly constants: IntGeluConstants; readonly resultUnit: number } {
  const { scale, inputBits, bits, shift, scaleR1 } = scales;
  checkBits(bits);
  if (!(scale > 0 && scale < Infinity && scaleR1 > 0 && scaleR1 < Infinity)) {
    throw new RangeError(`scales must be positive and finite, got ${scale} and ${scaleR1}`);
  }
  if (method === 'lut-codes') {
    const constants = { method, table: codeTable(scales) };
    checkGeluConstants(constants, inputBits, shift);
    return { constants, resultUnit: scale };
  }
  const { integers, resultUnit } = make(method, scale);
  const { multiplier, shift: multiplierShift } = dyadic(resultUnit / scaleR1, 'int16');
  const constants = { ...integers, multiplier, multiplierShift };
  checkGeluConstants(constants, inputBits, shift);
  return { constants, resultUnit };
}

function make(method: Exclude<IntGeluMethod, 'lut-codes'>, scale: number) {
  switch (method) {
    case 'shift':
      return { integers: { method, unit: -Math.floor(-1 / (scale * 1.702)) }, resultUnit: scale / 2 ** 7 };
    case 'shift-fixed': {
      const octave = Math.LN2 / (1.702 * scale);
      const fraction = Math.max(0, Math.floor(FIXED_UNIT_BITS - Math.log2(octave)));
      const unit = Math.round(2 ** fraction * octave);
      const octaves = 15 - Math.ceil(Math.log2(unit));
      return { integers: { method, unit, fraction, octaves }, resultUnit: scale / 2 ** RESULT_BITS };
    }
    case 'poly': {
      const { root2, a, b } = I_GELU;
      const fraction = Math.max(0, Math.floor(POLY_BOUND_BITS - Math.log2((-b * root2) / scale)));
      const step = scale / 2 ** fraction / root2;
      const bound = -Math.floor(b / step);
      const places = bound > 22000 ? I_GELU.places + 2 : I_GELU.places;
      const unit = step ** 2 * a * 2 ** places; // of erf; negative
      const constant = -Math.floor(1 / a / step ** 2);
      const integers = { method, fraction, bound, constant, places, offset: -Math.floor(1 / unit) };
      return { integers, resultUnit: (-scale * unit) / 2 };
    }
    case 'lut': {
      const places = Math.max(0, Math.ceil(Math.log2(TAIL_END / (256 * scale))));
      const table = Uint32Array.from({ length: 256 }, (_, i) => {
        const size = i * 2 ** places;
        return Math.round(size * upperTail(size * scale) * 2 ** RESULT_BITS);
      });
      return { integers: { method, places, table }, resultUnit: scale / 2 ** RESULT_BITS };
    }
  }
}

/** The nearest twin code of GELU of every 8-bit code. */
function codeTable({ scale, bits, shift, scaleR1 }: GeluScales): Uint32Array {
  const flag = 2 ** (bits - 1);
  const table = new Uint32Array(64);
  for (let code = -128; code < 128; code++) {
    const tail = Math.abs(code * scale) * upperTail(Math.abs(code * scale));
    const steps = code < 0 ? tail / scaleR1 : (code * scale - tail) / (scaleR1 * 2 ** shift);
    const magnitude = Math.min(Math.round(steps), flag - 1);
    const byte = code > 0 && magnitude > 0 ? magnitude + flag : magnitude;
    const index = code & 0xff;
    table[index >> 2] = ((table[index >> 2] as number) | (byte << (8 * (index & 3)))) >>> 0;
  }
  return table;
}

/** Phi(-size): the normal density from `size` on, by Simpson's rule; 1e-10 off. */
function upperTail(size: number): number {
  const [steps, step] = [1600, 0.005];
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
    sum += weight * Math.exp(-((size + i * step) ** 2) / 2);
  }
  return (sum * step) / 3 / Math.sqrt(2 * Math.PI);
}

/**
 * Throws unless every intermediate of `constants` stays inside int32 for inputs of `inputBits` and a twin shift.
 *
 * @throws RangeError with the bound and the numbers
 */
export function checkGeluConstants(constants: IntGeluConstants, inputBits: 8 | 16, shift: number): void {
  const refuse = (why: string) => {
    throw new RangeError(`integer GELU '${constants.method}' of ${inputBits}-bit codes: ${why}`);
  };
  if (!inside(shift, 0, 15)) refuse(`shift must be an integer in 0..15, got ${shift}`);
  if (constants.method === 'lut-codes') {
    if (inputBits !== 8) refuse('a table of codes needs 8-bit codes');
    if (constants.table.length !== 64) refuse(`the table needs 64 words, it has ${constants.table.length}`);
    return;
  }
  const { multiplier, multiplierShift } = constants;
  if (!inside(multiplier, 2 ** 14, 2 ** 15 - 1) || !inside(multiplierShift, 1, 46)) {
    refuse(`multiplier ${multiplier} must be 16384..32767 and its shift ${multiplierShift} 1..46`);
  }
  const largest = 2 ** (inputBits - 1);
  switch (constants.method) {
    case 'shift': {
      const { unit } = constants; // e^0 = unit << 23 must be an int32
      if (!inside(unit, 1, 255)) refuse(`unit ${unit} << ${SHIFT_GELU_OCTAVES} passes int32: unit must be 1..255`);
      return;
    }
    case 'shift-fixed': {
      const { unit, fraction, octaves } = constants;
      const fits = inside(unit, 1, 2 ** 15) && inside(octaves, 0, 15) && unit * 2 ** octaves <= 2 ** 15;
      if (!fits) refuse(`unit ${unit} << ${octaves} must be in 1..32768: use another scale`);
      if (!inside(fraction, 0, 20)) refuse(`fraction ${fraction} must be 0..20`);
      return;
    }
    case 'poly': {
      const { fraction, bound, constant, places, offset } = constants;
      if (!inside(bound, 1, 46340) || !inside(constant, bound ** 2, 2 ** 31 - 1)) {
        refuse(`bound ${bound} must be 1..46340, and constant ${constant} from its square to 2^31 - 1`);
      }
      if (!inside(fraction, 0, 20) || !inside(places, 0, 30)) {
        refuse(`fraction ${fraction} must be 0..20 and places ${places} 0..30`);
      }
      const factor = Math.ceil(constant / 2 ** places) + offset;
      if (!Number.isInteger(offset) || offset < 0 || factor * largest >= 2 ** 31) {
        refuse(`a factor of ${factor} (offset ${offset}) times an input of ${largest} passes int32`);
      }
      return;
    }
    case 'lut': {
      const { places, table } = constants;
      if (!inside(places, 0, 8)) refuse(`entries 2^${places} codes apart: places must be 0..8, take a larger scale`);
      if (table.length !== 256) refuse(`the table needs 256 entries, it has ${table.length}`);
      table.forEach((entry, i) => {
        const step = Math.abs((table[i + 1] ?? 0) - entry) * 2 ** places;
        if (entry >= 2 ** 30 || step >= 2 ** 30) refuse(`entry ${i} = ${entry} is too large or too far from the next`);
      });
    }
  }
}

function inside(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}
