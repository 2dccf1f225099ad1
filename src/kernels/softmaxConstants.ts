import { dyadic } from './dyadic.ts';
import { checkBits, checkIntegers } from './codes.ts';
import { twinSoftmaxTable, type TwinBoundary } from './quantizeTwinSoftmax.ts';

/** The integers by which a method computes softmax; they go into the model file. `scale` below is the real step S of a logit. */
export type IntSoftmaxConstants =
  /** I-ViT's Shiftmax as published: n = 15, `unit` = -floor(-1 / S). */
  | { readonly method: 'shift'; readonly unit: number }
  /** One straight line an octave; `unit` = round(2^fraction ln 2 / S) is an octave, `octaves` (n) its resolution in bits. */
  | { readonly method: 'shift-fixed'; readonly unit: number; readonly fraction: number; readonly octaves: number }
  /** I-BERT's i-exp with S' = S / 2^fraction: r^2 + linear r + constant, then multiplier / 2^multiplierShift to 16 bits. */
  | {
      readonly method: 'poly';
      readonly unit: number;
      readonly fraction: number;
      readonly linear: number;
      readonly constant: number;
      readonly multiplier: number;
      readonly multiplierShift: number;
    }
  /** 2^-(i / 256) from a table; multiplier / 2^multiplierShift turns a logit into 1/256 octaves. */
  | {
      readonly method: 'lut';
      readonly multiplier: number;
      readonly multiplierShift: number;
      readonly table: Uint32Array;
    };

export type IntSoftmaxMethod = IntSoftmaxConstants['method'];

/** I-ViT's n for Shiftmax. */
export const SHIFTMAX_OCTAVES = 15;
/** Fewer octaves than these lose probabilities of 2^-13 and less to the floor. */
export const LEAST_OCTAVES = 13;

/** Constants of I-BERT's code: -ln 2 and a (x + b)^2 + c in its expanded form. */
const I_EXP = { octave: 0.6931, linear: 0.96963238 / 0.35815147, constant: 1 / 0.35815147 };
const FIXED_UNIT_BITS = 11;
const POLY_UNIT_BITS = 13;
const LUT_BITS = 22;

/**
 * The integers of `method` for logits of step `scale` in rows of up to `columns`.
 *
 * @throws RangeError when no integers of the method stay inside int32, with the numbers
 */
export function softmaxConstants(method: IntSoftmaxMethod, scale: number, columns: number): IntSoftmaxConstants {
  checkIntegers({ columns }, 1);
  if (!(scale > 0 && scale < Infinity)) throw new RangeError(`scale must be positive and finite, got ${scale}`);
  const constants = make(method, scale, columns);
  checkSoftmaxConstants(constants, columns);
  return constants;
}

function make(method: IntSoftmaxMethod, scale: number, columns: number): IntSoftmaxConstants {
  const columnBits = Math.ceil(Math.log2(columns));
  switch (method) {
    case 'shift':
      return { method, unit: -Math.floor(-1 / scale) };
    case 'shift-fixed': {
      const unitBits = Math.min(FIXED_UNIT_BITS, 30 - columnBits - LEAST_OCTAVES);
      const fraction = Math.max(0, Math.floor(unitBits - Math.log2(Math.LN2 / scale)));
      const unit = Math.round((2 ** fraction * Math.LN2) / scale);
      return { method, unit, fraction, octaves: 30 - Math.ceil(Math.log2(unit)) - columnBits };
    }
    case 'poly': {
      const fraction = Math.max(0, Math.floor(POLY_UNIT_BITS - Math.log2(I_EXP.octave / scale)));
      const step = scale / 2 ** fraction;
      const constant = Math.floor(I_EXP.constant / step ** 2);
      const { multiplier, shift } = dyadic(32767 / constant, 16);
      return {
        method,
        unit: -Math.floor(-I_EXP.octave / step),
        fraction,
        linear: Math.floor(I_EXP.linear / step),
        constant,
        multiplier,
        multiplierShift: shift,
      };
    }
    case 'lut': {
      const { multiplier, shift } = dyadic(256 * scale * Math.LOG2E, 'distance');
      const one = 2 ** Math.min(LUT_BITS, 30 - columnBits);
      const table = Uint32Array.from({ length: 256 }, (_, i) => Math.round(one * 2 ** (-i / 256)));
      return { method, multiplier, multiplierShift: shift, table };
    }
  }
}

/**
 * Throws unless every intermediate of `constants` stays inside int32 for rows of `columns`.
 *
 * @throws RangeError with the bound and the numbers
 */
export function checkSoftmaxConstants(constants: IntSoftmaxConstants, columns: number): void {
  const refuse = (why: string) => {
    throw new RangeError(`integer softmax '${constants.method}' for ${columns} columns: ${why}`);
  };
  switch (constants.method) {
    case 'shift': {
      // e^0 = unit << 15 must be an int32; the sum saturates as the published code's does
      const { unit } = constants;
      if (!inside(unit, 1, 2 ** 16 - 1))
        refuse(`unit ${unit} << ${SHIFTMAX_OCTAVES} passes int32: unit must be 1..65535`);
      return;
    }
    case 'shift-fixed': {
      const { unit, fraction, octaves } = constants;
      if (!inside(unit, 1, 2 ** 17) || !inside(fraction, 0, 20)) {
        refuse(`unit ${unit} must be 1..131072 and fraction ${fraction} 0..20`);
      }
      const most = 30 - Math.ceil(Math.log2(unit)) - Math.ceil(Math.log2(columns));
      if (!inside(octaves, LEAST_OCTAVES, most)) {
        refuse(`n = ${octaves} must be ${LEAST_OCTAVES}..${most} for unit ${unit}: use fewer logit bits or 'lut'`);
      }
      return;
    }
    case 'poly': {
      const { unit, fraction, linear, constant, multiplier, multiplierShift } = constants;
      if (!inside(unit, 1, 2 ** 15) || !inside(fraction, 0, 20)) {
        refuse(`unit ${unit} must be 1..32768 and fraction ${fraction} 0..20`);
      }
      // |r| < unit: |r (r + linear)| <= unit max(unit, linear), and z lies between that below and the constant
      if (!inside(linear, unit, 2 ** 17) || unit * linear >= 2 ** 31 || !inside(constant, 1, 2 ** 31 - 1)) {
        refuse(`linear ${linear} (at least unit ${unit}) times unit and constant ${constant} must be below 2^31`);
      }
      if (!inside(multiplier, 1, 2 ** 31 - 1) || !inside(multiplierShift, 1, 62)) {
        refuse(`multiplier ${multiplier} must be 1..2^31 - 1 and its shift ${multiplierShift} 1..62`);
      }
      // Parts up to 32767, none of them 2^15, keep part floor(2^32 / sum) below 2^32.
      const one = Math.floor((constant * multiplier) / 2 ** multiplierShift + 0.5);
      if (one !== 32767) refuse(`multiplier and shift turn the constant ${constant} into ${one}, not 32767`);
      if (columns > 2 ** 17) refuse('at most 131072 columns keep the sum of 16-bit parts below 2^32');
      return;
    }
    case 'lut': {
      const { multiplier, multiplierShift, table } = constants;
      if (!inside(multiplier, 2 ** 14, 2 ** 15 - 1) || !inside(multiplierShift, 1, 30)) {
        refuse(`multiplier ${multiplier} must be 16384..32767 and its shift ${multiplierShift} 1..30`);
      }
      if (table.length !== 256) refuse(`the table needs 256 entries, it has ${table.length}`);
      const largest = table.reduce((most, entry) => Math.max(most, entry), 0);
      if (largest * columns > 2 ** 30 || table[0] === 0) {
        refuse(`entries 1..${largest} times the columns must be at most 2^30, the first of them not 0`);
      }
    }
  }
}

function inside(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}

/**
 * Where R2 begins, in units of 2^-24, the threshold of `int_softmax`; exact.
 *
 * @throws RangeError on a width outside 2..8 or a shift outside 0..15
 */
export function twinThreshold(shift: number, bits: number, boundary: TwinBoundary): number {
  checkBits(bits);
  return twinSoftmaxTable(shift, bits, boundary)[0] * 2 ** 24;
}
