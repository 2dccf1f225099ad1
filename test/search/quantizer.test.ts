import { describe, expect, test } from 'vitest';
import { layerOptions, matches } from '../../src/calibrate/options.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { initialScale, maxTwinShift, steps, twinShift } from '../../src/quantize/quantizer.ts';
import { packDepthMajor, packRows } from '../../src/kernels/pack.ts';
import { foldPixels, unfoldPixels } from '../../src/quantize/pixels.ts';

test.each([
  [197, 9],
  [768, 7],
  [1536, 6],
  [3072, 5],
])('at 8 x 8 bits and depth %i the largest twin shift is %i', (depth, shift) => {
  expect(maxTwinShift(8, 8, depth)).toBe(shift);
});

describe('steps of a code', () => {
  test('twin ranges count in units of R1', () => {
    expect(steps({ type: 'twin-softmax', bits: 8, shift: 4, boundary: 'nearest' })).toEqual([2 ** -11]);
    const gelu = { type: 'twin-gelu', bits: 8, scaleR2: 0.75, shift: 2 } as const;
    expect([steps(gelu), twinShift(gelu)]).toEqual([[0.1875], 2]);
  });
  test('pixels step by one', () => expect(steps({ type: 'pixels', bits: 8 })).toEqual([1]));
});

test('the initial scale puts the largest value half a step inside the last code, and survives an all-zero group', () => {
  expect(initialScale(127.5, 8)).toBe(1);
  expect(initialScale(0, 8)).toBeGreaterThan(0);
  expect(Number.isFinite(Math.fround(1 / initialScale(0, 8)))).toBe(true);
});

test('packs rows of any depth into whole words, and weights four depths a word', () => {
  expect([...packRows([Int8Array.of(1, 2, 3, 4, 5), Int8Array.of(-1, 6, 7, 8, 9)], 5)]).toEqual([
    1, 2, 3, 4, 5, 0, 0, 0, 255, 6, 7, 8, 9, 0, 0, 0,
  ]);
  // Weight [2 columns, depth 5]: words of column 0 and 1 for depths 0..3, then for depth 4 with padding.
  expect([...packDepthMajor(Int8Array.of(1, 2, 3, 4, 5, -1, 6, 7, 8, 9), 2, 5)]).toEqual([
    1, 2, 3, 4, 255, 6, 7, 8, 5, 0, 0, 0, 9, 0, 0, 0,
  ]);
});

test.each([1 / 255, 1 / 127.5, 1])(
  'folding a normalisation that rescales by %d into the patch embedding leaves its output as it was',
  (rescale) => {
    const normalization = { rescale, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
    const weight = Float32Array.from({ length: 2 * 12 }, (_, i) => Math.sin(i) / (255 * rescale));
    const bias = Float32Array.of(0.5, -0.25);
    const folded = foldPixels(weight, bias, 2, normalization);
    const pixels = Array.from({ length: 12 }, (_, i) => (37 * i) % 256);
    for (let out = 0; out < 2; out++) {
      let float = bias[out] as number;
      let integer = folded.bias[out] as number;
      pixels.forEach((value, i) => {
        const c = Math.floor(i / 4);
        const input = (value * rescale - (normalization.mean[c] as number)) / (normalization.std[c] as number);
        float += (weight[out * 12 + i] as number) * input;
        integer += (folded.weight[out * 12 + i] as number) * (value - 128);
      });
      expect(integer).toBeCloseTo(float, 4);
    }
    const unfolded = unfoldPixels(folded, normalization);
    unfolded.weight.forEach((value, i) => expect(value).toBeCloseTo(weight[i] as number, 6));
    unfolded.bias.forEach((value, i) => expect(value).toBeCloseTo(bias[i] as number, 4));
  },
);

describe('options', () => {
  test.each([1, 9, 4.5])('refuses %d bits', (bits) => {
    expect(() => calibrationOptions('default', { weightBits: bits })).toThrow(
      `weightBits must be an integer in 2..8, got ${bits}`,
    );
  });
  test('refuses a seed that is no 32-bit word', () => {
    expect(() => calibrationOptions('base', { seed: -1 })).toThrow('seed must be an integer in 0..4294967295, got -1');
  });
  test.each([
    ['metric', 'none', 'metric must be one of hessian, mse'],
    ['percentile', 101, 'percentile must be a number in 50..100, got 101'],
  ])('refuses %s %s', (name, value, message) => {
    expect(() => calibrationOptions('default', { [name]: value })).toThrow(message);
  });
  test('move less into weights of fewer bits than activations, unless told otherwise', () => {
    expect(calibrationOptions('default').foldingStrength).toBe(1);
    expect(calibrationOptions('default', { weightBits: 4 }).foldingStrength).toBe(0.3);
    expect(calibrationOptions('default', { weightBits: 4, activationBits: 4 }).foldingStrength).toBe(1);
    expect(calibrationOptions('default', { weightBits: 4, foldingStrength: 1 }).foldingStrength).toBe(1);
  });
  test('of a layer are those of the rules that match its name, a later rule over an earlier one', () => {
    const layers = [
      { pattern: 'blocks.*.mlp.*', options: { weightBits: 6, gelu: 'twin' } },
      { pattern: 'blocks.3.mlp.fc2', options: { weightBits: 4 } },
    ] as const;
    const options = calibrationOptions('default', { layers });
    expect(layerOptions(options, 'blocks.3.mlp.fc2')).toMatchObject({ weightBits: 4, gelu: 'twin' });
    expect(layerOptions(options, 'blocks.2.mlp.fc1')).toMatchObject({ weightBits: 6, gelu: 'twin' });
    expect(layerOptions(options, 'xblocks.3.mlp.fc2')).toMatchObject({ weightBits: 8, gelu: 'auto' });
    expect(matches('head.*', 'headx')).toBe(false); // a point is a point
  });
});
