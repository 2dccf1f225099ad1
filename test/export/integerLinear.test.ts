import { describe, expect, test } from 'vitest';
import { integerLinear, widthOf, type LinearToExport } from '../../src/export/integerLinear.ts';
import type { LinearParameters } from '../../src/format/model.ts';
import { noise } from '../support/floats.ts';

const base: LinearToExport = {
  codes: Int8Array.of(127, -128, 5, 0, 0, 0),
  scales: [0.01, 0.02],
  bias: Float32Array.of(0.5, -0.25),
  inFeatures: 3,
  input: { kind: 'uniform', bits: 8, shift: 0 },
  inputStep: 0.05,
  outputSteps: [0.1, 0.1],
  form: 8,
};

/** The real rescale of a feature. */
const ratio = ({ multipliers, shifts }: ReturnType<typeof integerLinear>, i: number) =>
  multipliers![i]! / 2 ** shifts![i]!;

describe('integers of a linear layer', () => {
  test('bias in units of the accumulator, rescale to the output', () => {
    const made = integerLinear(base);
    expect(made.bias![0]).toBe(Math.round(0.5 / (0.05 * Math.fround(0.01))));
    expect(Math.abs(ratio(made, 0) / ((0.05 * Math.fround(0.01)) / 0.1) - 1)).toBeLessThan(2 ** -14);
    expect([...made.codes]).toEqual([...base.codes]);
    expect(made.scales[0]).toBe(Math.fround(0.01));
  });

  test('no bias stays none', () => {
    expect(integerLinear({ ...base, bias: null }).bias).toBeNull();
  });

  test('a feature without weights gets a step that its bias fits', () => {
    const made = integerLinear({ ...base, scales: [0.01, 2 ** -126] });
    expect(ratio(made, 1)).toBeCloseTo(2 ** -16, 12);
    expect(Math.abs(made.bias![1]! * ratio(made, 1) - -0.25 / 0.1)).toBeLessThan(2 ** -12);
  });

  test('a step too small for the bias becomes coarser, the output moves by less than an output step', () => {
    const codes = Int8Array.from(noise(3, 1, 127));
    const scales = [1e-9];
    const made = integerLinear({ ...base, codes, scales, bias: Float32Array.of(4), outputSteps: [0.1] });
    const times = made.scales[0]! / 1e-9;
    expect(Math.log2(times)).toBeCloseTo(Math.round(Math.log2(times)), 5);
    expect(times).toBeGreaterThan(1);
    const bound = 128 * made.codes.reduce((sum, code) => sum + Math.abs(code), 0) + Math.abs(made.bias![0]!);
    expect(bound).toBeLessThan(2 ** 31);
    expect(made.bias![0]! * ratio(made, 0)).toBeCloseTo(40, 2);
    for (let i = 0; i < 3; i++) {
      expect(Math.abs(made.codes[i]! * made.scales[0]! - codes[i]! * 1e-9) * 128 * 0.05).toBeLessThan(0.1);
    }
  });

  test('sums too coarse for their rescale are made of doubled codes, to the same codes of the output', () => {
    const codes = Int8Array.of(1, -2, 1, 0, -2, 1);
    const outputStep = 0.0014; // 0.36 and 0.71 of it are a unit of the accumulators
    const coarse = { ...base, codes, outputSteps: [outputStep, outputStep] };
    const made = integerLinear(coarse);
    expect([...made.codes]).toEqual([2, -4, 2, 0, -8, 4]);
    expect([...made.scales]).toEqual([Math.fround(0.01) / 2, Math.fround(0.02) / 4]);
    expect([ratio(made, 0), ratio(made, 1)].every((factor) => factor > 1 / 8 && factor < 1 / 4)).toBe(true);
    for (const input of [
      [3, 1, -2],
      [-100, 90, 7],
    ]) {
      for (const feature of [0, 1]) {
        const sum = (of: Int8Array) => input.reduce((total, x, i) => total + x * of[3 * feature + i]!, 0);
        const real = 0.05 * Math.fround(coarse.scales[feature]!) * sum(codes) + coarse.bias![feature]!;
        const found = (sum(made.codes) + made.bias![feature]!) * ratio(made, feature);
        expect(Math.abs(found / (real / outputStep) - 1)).toBeLessThan(2 ** -10);
      }
    }
    expect([2, 3, 8].map((bits) => widthOf(made.codes, bits))).toEqual([4, 4, 8]);
    expect(widthOf(Int8Array.of(-2, 1), 2)).toBe(2);
    expect(widthOf(Int8Array.of(-2, 2), 2)).toBe(3);
    expect(widthOf(Int8Array.of(-128, 0), 2)).toBe(8);
  });

  test('doubled codes stay within eight bits and their sums within an int32', () => {
    const steep = { ...base, codes: Int8Array.of(64, 0, 0, 0, 0, 0), bias: null, outputSteps: [0.0014, 0.1] };
    expect(() => integerLinear(steep)).toThrow(/output feature 0: a rescale to 8 bits by 0\.357\d* is outside/);
    expect(integerLinear({ ...steep, codes: Int8Array.of(63, -64, 0, 0, 0, 0) }).codes[0]).toBe(126);
    const full = { ...steep, scales: [2 ** -24, 1], bias: Float32Array.of(80), inputStep: 1, codes: Int8Array.of(1) };
    const last = { ...full, inFeatures: 1, scales: [2 ** -24], outputSteps: [2 ** -23] };
    expect(() => integerLinear(last)).toThrow(/output feature 0: a rescale to 8 bits by 0\.5 is outside/);
  });

  test('the accumulator is driven to its bound and no further', () => {
    // 127 << 15 times a row of 127 twice is 1 057 013 760; the bias fills up to 2^31 - 1.
    const twin = { kind: 'twin-softmax', bits: 8, shift: 15 } as const;
    const full = {
      ...base,
      codes: Int8Array.of(127, 127, 0),
      scales: [1],
      inputStep: 1,
      outputSteps: [2 ** 24],
      input: twin,
    };
    const rest = 2 ** 31 - 1 - (127 << 15) * 254;
    const f32 = Math.fround(rest) > rest ? rest - 64 : rest; // bias values are f32
    expect(integerLinear({ ...full, bias: Float32Array.of(f32) }).scales[0]).toBe(1);
    expect(integerLinear({ ...full, bias: Float32Array.of(rest + 128) }).scales[0]).toBe(2);
  });

  test('the zero point of the input leaves with the bias, exactly, with and without one', () => {
    for (const bias of [null, Float32Array.of(0.3, -0.2)]) {
      const [with0, with7] = [0, 7].map((inputZero) => integerLinear({ ...base, bias, inputZero }));
      const made = with7 as LinearParameters;
      expect(made.codes).toEqual(with0?.codes);
      for (const feature of [0, 1]) {
        const row = [...made.codes.subarray(3 * feature, 3 * feature + 3)];
        const [plain, moved] = [
          [5, -100, 90],
          [12, -93, 97],
        ].map((input) => row.reduce((sum, code, i) => sum + code * (input[i] as number), 0)) as [number, number];
        expect(moved + made.bias![feature]!).toBe(plain + (with0?.bias?.[feature] ?? 0));
      }
    }
  });

  test('what no step can hold is refused with the feature', () => {
    const tiny = { ...base, bias: Float32Array.of(0, 1e30) };
    expect(() => integerLinear(tiny)).toThrow(
      /output feature 1: a bias of 1\.\d+e\+30 is .* units of the accumulator, past 2\^31/,
    );
    const steep = { ...base, outputSteps: [1e-4, 0.1] };
    expect(() => integerLinear(steep)).toThrow(/output feature 0: a rescale to 8 bits by 4\.9\d+ is outside/);
  });
});
