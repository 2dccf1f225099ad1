import { describe, expect, test } from 'vitest';
import golden from '../golden/integer/integer.json' with { type: 'json' };
import { geluConstants, type IntGeluMethod } from '../../src/kernels/geluConstants.ts';
import { softmaxConstants, twinThreshold, type IntSoftmaxMethod } from '../../src/kernels/softmaxConstants.ts';
import { decodeCode } from '../../src/reference/codes.ts';
import { erfReference } from '../../src/reference/geluF32.ts';
import { intGelu, intGeluReference } from '../../src/reference/intGelu.ts';
import { twinSoftmaxCode } from '../../src/reference/intExp.ts';
import { intSoftmaxRow } from '../../src/reference/intSoftmax.ts';
import { quantizeTwinSoftmaxReference } from '../../src/reference/quantizeTwinSoftmax.ts';
import { shiftGeluRow } from '../../src/reference/shiftGelu.ts';
import { random } from '../support/codes.ts';

const scaleR1 = 0.17 / 127;

describe('the integers of the published formulas in PyTorch', () => {
  test.each(golden.shiftmax)('Shiftmax at a scale of $scale', ({ scale, logits, shares }) => {
    const constants = softmaxConstants('shift', scale, logits[0]?.length ?? 0);
    const units = logits.map((row) => intSoftmaxRow(row, constants).map((p) => p / 2 ** 9)); // 2^-15, its 16-bit output
    expect(units).toEqual(shares);
  });

  test.each(golden.shiftGelu)('ShiftGELU at a scale of $scale', ({ scale, codes, results }) => {
    const { constants, resultUnit } = geluConstants('shift', { scale, inputBits: 16, bits: 8, shift: 4, scaleR1 });
    expect(resultUnit).toBe(scale / 2 ** 7);
    if (constants.method !== 'shift') throw new Error('another method');
    expect(codes.map((row) => shiftGeluRow(row, constants.unit))).toEqual(results);
  });

  test.each(golden.iExp)('i-exp softmax at a scale of $scale', ({ scale, fraction, logits, shares }) => {
    const constants = softmaxConstants('poly', scale, logits[0]?.length ?? 0);
    expect(constants).toMatchObject({ method: 'poly', fraction });
    expect(logits.map((row) => intSoftmaxRow(row, constants))).toEqual(shares);
  });

  test.each(golden.iGelu)('i-gelu at a scale of $scale', ({ scale, fraction, codes, results, unit }) => {
    const { constants, resultUnit } = geluConstants('poly', { scale, inputBits: 16, bits: 8, shift: 4, scaleR1 });
    if (constants.method !== 'poly') throw new Error('another method');
    expect([constants.fraction, constants.places]).toEqual([fraction, 14]);
    expect(resultUnit / scale / -unit).toBeCloseTo(1, 12);
    expect(codes.map((row) => row.map((x) => 0 - intGelu(x, constants)))).toEqual(results); // their unit is negative
  });
});

function normals(seed: number): () => number {
  const next = random(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

const within = (range: number, x: number) => Math.max(-range, Math.min(x, range));

/** Mean of sum |p - exact| over 60 rows of 197 normal logits that just reach `range`. */
function softmaxError(method: IntSoftmaxMethod, range: number, logitBits: number): number {
  const scale = range / 2 ** (logitBits - 1);
  const constants = softmaxConstants(method, scale, 197);
  const normal = normals(7);
  let error = 0;
  for (let row = 0; row < 60; row++) {
    const logits = Array.from({ length: 197 }, () => within(range, (normal() * range) / 3));
    const largest = logits.reduce((a, b) => Math.max(a, b));
    const exact = logits.map((x) => Math.exp(x - largest));
    const sum = exact.reduce((a, b) => a + b);
    const q = 2 ** (logitBits - 1);
    const codes = logits.map((x) => Math.max(-q, Math.min(Math.round(x / scale), q - 1)));
    const made = intSoftmaxRow(codes, constants);
    made.forEach((p, i) => (error += Math.abs(p / 2 ** 24 - (exact[i] as number) / sum)));
  }
  return error / 60;
}

const gelu = (x: number) => (x * (1 + erfReference(x * Math.SQRT1_2))) / 2;

/** SQNR in dB of y before it becomes a code, over rows of 768 that are normal with a deviation of range / 4 and reach the range. */
function geluRatio(method: IntGeluMethod, range: number, inputBits: 8 | 16): number {
  const q = 2 ** (inputBits - 1);
  const scale = range / q;
  const { constants, resultUnit } = geluConstants(method, {
    scale,
    inputBits,
    bits: 8,
    shift: 0,
    scaleR1: range / 127,
  });
  const normal = normals(8);
  let [power, error] = [0, 0];
  for (let row = 0; row < 20; row++) {
    const x = Array.from({ length: 768 }, (_, i) => (i === 0 ? range : within(range, (normal() * range) / 4)));
    const codes = x.map((v) => Math.max(-q, Math.min(Math.round(v / scale), q - 1)));
    const y =
      constants.method === 'shift'
        ? shiftGeluRow(codes, constants.unit)
        : codes.map((code) => (constants.method === 'lut-codes' ? NaN : intGelu(code, constants)));
    y.forEach((value, i) => {
      const exact = gelu(x[i] as number);
      power += exact ** 2;
      error += (value * resultUnit - exact) ** 2;
    });
  }
  return 10 * Math.log10(power / error);
}

test.each<[IntSoftmaxMethod, number, number[]]>([
  ['shift', 8, [0.041, 0.051, 0.055]],
  ['shift-fixed', 8, [0.034, 0.036, 0.034]],
  ['poly', 8, [0.022, 0.029, 0.031]],
  ['lut', 8, [0.021, 0.029, 0.031]],
  ['shift', 12, [0.029, 0.027, 0.02]],
  ['shift-fixed', 12, [0.024, 0.022, 0.013]],
  ['poly', 12, [0.0023, 0.0026, 0.0023]],
  ['lut', 12, [0.0015, 0.0019, 0.002]],
])('softmax %s of %i-bit logits is within %j of exact in row L1, at ranges 8, 16, 32', (method, bits, bounds) => {
  const errors = [8, 16, 32].map((range) => softmaxError(method, range, bits));
  console.log(`softmax ${method}, ${bits} bits: ${errors.map((error) => error.toFixed(4)).join(' / ')}`);
  errors.forEach((error, i) => expect(error).toBeLessThan(bounds[i] as number));
  errors.forEach((error, i) => expect(error).toBeGreaterThan((bounds[i] as number) / 2)); // the bound says something
});

test.each<[IntGeluMethod, 8 | 16, number[]]>([
  ['shift', 8, [29, 4, 3]],
  ['shift-fixed', 8, [37, 39, 40]],
  ['poly', 8, [38, 39, 40]],
  ['lut', 8, [40, 40, 40]],
  ['shift-fixed', 16, [41, 48, 56]],
  ['poly', 16, [44, 52, 60]],
  ['lut', 16, [86, 87, 88]],
])('GELU %s of %i-bit codes is better than %j dB at ranges 8, 16, 32', (method, bits, bounds) => {
  const ratios = [8, 16, 32].map((range) => geluRatio(method, range, bits));
  console.log(`GELU ${method}, ${bits} bits: ${ratios.map((ratio) => ratio.toFixed(1)).join(' / ')} dB`);
  ratios.forEach((ratio, i) => expect(ratio).toBeGreaterThan(bounds[i] as number));
  ratios.forEach((ratio, i) => expect(ratio).toBeLessThan((bounds[i] as number) + 3)); // the bound says something
});

test('ShiftGELU breaks once the row maximum passes 9.4: the values below it come out as multiples of themselves', () => {
  const ratioAt = (range: number) => geluRatio('shift', range, 8);
  expect(ratioAt(8)).toBeGreaterThan(29);
  expect(ratioAt(10.5)).toBeLessThan(25);
  expect(ratioAt(12)).toBeLessThan(15);
});

test('a row of deviation 5 with an outlier of 215 keeps 45 dB with each repaired method at 16 bits', () => {
  const scale = 215 / 2 ** 15;
  const normal = normals(9);
  const x = Array.from({ length: 768 }, (_, i) => (i === 99 ? 215 : within(40, normal() * 5)));
  for (const method of ['shift-fixed', 'poly', 'lut'] as const) {
    const { constants, resultUnit } = geluConstants(method, { scale, inputBits: 16, bits: 8, shift: 4, scaleR1 });
    if (constants.method === 'shift' || constants.method === 'lut-codes') throw new Error('another method');
    let [power, error] = [0, 0];
    x.forEach((v, i) => {
      if (i === 99) return; // it would hide the errors of the others
      power += gelu(v) ** 2;
      error += (intGelu(Math.round(v / scale), constants) * resultUnit - gelu(v)) ** 2;
    });
    expect(10 * Math.log10(power / error), method).toBeGreaterThan(45);
  }
});

test('a table of codes holds the nearest code of GELU', () => {
  const scales = { scale: 1 / 16, inputBits: 8, bits: 8, shift: 4, scaleR1: 2 ** -9 } as const;
  const { constants } = geluConstants('lut-codes', scales);
  if (constants.method !== 'lut-codes') throw new Error('another method');
  const inputs = Array.from({ length: 256 }, (_, i) => i - 128);
  const packed = intGeluReference(inputs, { columns: 256, bits: 8, shift: 4, constants });
  new Uint8Array(packed.buffer).forEach((code, i) => {
    const exact = gelu((inputs[i] as number) / 16);
    const clamped = Math.max(-127 * 2 ** -9, Math.min(exact, 127 * 2 ** -5));
    const value = decodeCode(code, { kind: 'twin-gelu', bits: 8, shift: 4 }) * 2 ** -9;
    expect(Math.abs(value - clamped)).toBeLessThanOrEqual((exact < 0 ? 2 ** -10 : 2 ** -6) + 1e-9);
  });
});

test.each(['nearest', 'published'] as const)(
  '%s codes of integer probabilities are those of the float quantizer',
  (rule) => {
    const next = random(10);
    for (const bits of [2, 4, 6, 8]) {
      for (const shift of [0, 3, 4, 9, 15]) {
        const threshold = twinThreshold(shift, bits, rule);
        const step = 2 ** (25 - bits - shift);
        const around = [threshold - 1, threshold, threshold + 1, 0, 1, step / 2 - 1, step / 2 + 1, 2 ** 24];
        const values = [...around, ...Array.from({ length: 200 }, () => Math.floor(next() ** 5 * 2 ** 24))];
        const apart = values.filter(
          (p) => p >= 0 && (p % step) * 2 !== step && (p % (step * 2 ** shift)) * 2 !== step * 2 ** shift,
        );
        const codes = apart.map((p) => twinSoftmaxCode(p, bits, shift, threshold));
        const float = quantizeTwinSoftmaxReference(
          Float32Array.from(apart, (p) => p / 2 ** 24),
          { bits, shift, boundary: rule },
        );
        expect(codes, `${bits} bits, shift ${shift}`).toEqual([...float]);
      }
    }
  },
);

test('ties go up in integers: half a step is code 1', () => {
  expect(twinSoftmaxCode(2 ** 12, 8, 4, 2 ** 24)).toBe(1);
  expect(twinSoftmaxCode(2 ** 12 - 1, 8, 4, 2 ** 24)).toBe(0);
});

describe('refuses what would pass int32, with the numbers', () => {
  test.each<[string, () => unknown, string]>([
    [
      '16-bit logits of range 8 at 197 columns in shift-fixed',
      () => softmaxConstants('shift-fixed', 8 / 2 ** 15, 197),
      "integer softmax 'shift-fixed' for 197 columns: n = 10 must be 13..10 for unit 2839: use fewer logit bits or 'lut'",
    ],
    ['a unit above 16 bits in shift', () => softmaxConstants('shift', 1e-5, 197), 'unit 100000 << 15 passes int32'],
    ['a poly constant above 31 bits', () => softmaxConstants('poly', 2e-5, 197), 'must be'],
    ['no scale', () => softmaxConstants('lut', 0, 197), 'scale must be positive and finite, got 0'],
    ['too many columns for poly', () => softmaxConstants('poly', 0.1, 2 ** 18), 'at most 131072 columns'],
    [
      '16-bit codes in ShiftGELU',
      () => geluOf('shift', 8 / 2 ** 15),
      'unit 2407 << 23 passes int32: unit must be 1..255',
    ],
    ['a scale too fine for the polynomial', () => geluOf('poly', 2e-5), 'bound'],
    ['a scale too fine for the table', () => geluOf('lut', 8e-5), 'places must be 0..8, take a larger scale'],
    ['a scale too fine for the exponential', () => geluOf('shift-fixed', 1e-5), 'use another scale'],
    ['a table of codes for 16-bit codes', () => geluOf('lut-codes', 8 / 2 ** 15), 'a table of codes needs 8-bit codes'],
  ])('%s', (_what, act, message) => {
    expect(act).toThrow(RangeError);
    expect(act).toThrow(message);
  });

  test('12-bit logits of range 8 are what shift-fixed takes at 197 columns', () => {
    expect(softmaxConstants('shift-fixed', 8 / 2 ** 11, 197)).toMatchObject({ octaves: 13, unit: 355, fraction: 1 });
  });
});

function geluOf(method: IntGeluMethod, scale: number) {
  return geluConstants(method, { scale, inputBits: 16, bits: 8, shift: 4, scaleR1 });
}
