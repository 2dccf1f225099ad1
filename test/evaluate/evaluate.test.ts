import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compareLogits, type Comparison } from '../../src/evaluate/compare.ts';
import { klDivergence, logSumExp } from '../../src/evaluate/divergence.ts';
import { wilsonInterval } from '../../src/evaluate/interval.ts';
import { argmax, placeOf } from '../../src/evaluate/rank.ts';

/** Numbers of PyTorch and NumPy: `test/golden/evaluate/make.py`. */
const golden = JSON.parse(readFileSync(new URL('../golden/evaluate/expected.json', import.meta.url), 'utf8')) as {
  logits: number[];
  quantized: number[];
  classes: number;
  labels: number[];
  expected: Comparison;
  logSumExp: number[];
};
const float = { logits: Float32Array.from(golden.logits), classes: golden.classes };
const quantized = { logits: Float32Array.from(golden.quantized), classes: golden.classes };

test('every measure equals that of PyTorch and NumPy', () => {
  const got = compareLogits(float, quantized, golden.labels);
  const { klDivergence: kl, logitSqnrDb, topOneDropPoints, ...exact } = golden.expected;
  expect(got).toMatchObject(exact);
  expect(got.topOneDropPoints).toBeCloseTo(topOneDropPoints as number, 10);
  expect(Math.abs(got.klDivergence / kl - 1)).toBeLessThan(1e-12);
  expect(got.logitSqnrDb).toBeCloseTo(logitSqnrDb as number, 10);
});

test('the golden tells the measures apart', () => {
  const { top1, top5, floatTop1, floatTop5, agreement } = golden.expected;
  expect(new Set([top1, top5, floatTop1, floatTop5]).size).toBe(4);
  expect([top1, floatTop1, floatTop5]).not.toContain(agreement);
});

test('without labels what needs them is null', () => {
  expect(compareLogits(float, quantized, null)).toMatchObject({
    top1: null,
    top5: null,
    floatTop1: null,
    floatTop5: null,
    topOneDropPoints: null,
    agreement: golden.expected.agreement,
  });
});

test('a network agrees with itself without error', () => {
  expect(compareLogits(float, float, null)).toMatchObject({ agreement: 1, klDivergence: 0, logitSqnrDb: null });
});

test('equal logits rank by class index', () => {
  const row = Float32Array.of(1, 3, 3, 0, 3);
  expect(argmax(row)).toBe(1);
  expect([0, 1, 2, 3, 4].map((label) => placeOf(row, label))).toEqual([3, 0, 1, 4, 2]);
});

test('log-sum-exp and KL hold where exp overflows', () => {
  golden.logSumExp.forEach((expected, image) => {
    const row = float.logits.subarray(image * golden.classes, (image + 1) * golden.classes);
    expect(Math.abs(logSumExp(row) / expected - 1)).toBeLessThan(1e-12);
  });
  expect(klDivergence(Float32Array.of(1e5, 0), Float32Array.of(0, 1e5))).toBe(1e5);
  expect(klDivergence(Float32Array.of(1e5, 0), Float32Array.of(1e5, 0))).toBe(0);
});

test.each([
  [0, 10],
  [10, 10],
  [1, 2],
  [433, 468],
  [1, 100000],
])('Wilson bounds of %i / %i solve (p - hits/total)^2 = z^2 p (1 - p) / total', (hits, total) => {
  const bounds = wilsonInterval(hits, total);
  const z = 1.959963984540054;
  for (const p of bounds) expect((p - hits / total) ** 2).toBeCloseTo((z ** 2 * p * (1 - p)) / total, 12);
  expect(bounds[0]).toBeLessThanOrEqual(hits / total);
  expect(bounds[1]).toBeGreaterThanOrEqual(hits / total);
  expect(bounds[1]).toBeGreaterThan(bounds[0]);
});

test('Wilson bounds of a published example: 81 of 263', () => {
  // Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 0.2553 to 0.3662
  const [low, high] = wilsonInterval(81, 263);
  expect(low.toFixed(4)).toBe('0.2553');
  expect(high.toFixed(4)).toBe('0.3662');
});

test('sizes, labels and logits that cannot be are refused by number', () => {
  const two = { logits: Float32Array.of(1, 2, 3, 4), classes: 2 };
  expect(() => compareLogits(two, { ...two, classes: 4 }, null)).toThrow(/4 x 2 classes .* 4 x 4/);
  expect(() => compareLogits({ ...two, classes: 3 }, { ...two, classes: 3 }, null)).toThrow(/4 logits of 3 classes/);
  expect(() => compareLogits({ ...two, logits: new Float32Array() }, two, null)).toThrow(RangeError);
  expect(() => compareLogits(two, two, [1])).toThrow('1 labels for 2 images');
  expect(() => compareLogits(two, two, [0, 2])).toThrow('label 2 of image 1 is outside 0..1');
  expect(() => compareLogits(two, two, [0, -1])).toThrow('label -1 of image 1');
  const bad = { logits: Float32Array.of(1, 2, 3, NaN), classes: 2 };
  expect(() => compareLogits(two, bad, null)).toThrow('the quantized network gave NaN for class 1 of image 1');
  expect(() => compareLogits(bad, two, null)).toThrow('the float network gave NaN');
  expect(() => wilsonInterval(3, 2)).toThrow('3 hits of 2');
  expect(() => wilsonInterval(0, 0)).toThrow(RangeError);
});
