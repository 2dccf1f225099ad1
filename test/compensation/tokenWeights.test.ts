import { expect, test } from 'vitest';
import { effectiveRows, spreadWeights } from '../../src/calibrate/compensation/tokenWeights.ts';

test('equal rows count one each, a heavy one counts for itself', () => {
  expect(effectiveRows(new Float32Array(7).fill(3))).toBeCloseTo(7, 12);
  expect(effectiveRows(Float32Array.from([1, 0, 0, 0]))).toBe(1);
  expect(effectiveRows(Float32Array.from([3, 1]))).toBeCloseTo(1.6, 12);
  expect(effectiveRows(new Float32Array(3))).toBe(0);
});

test('too few rows are refused, enough are left as they are, and few heavy ones among many are evened out', () => {
  const equal = new Float32Array(8).fill(1);
  expect(spreadWeights(equal, 5)).toBeUndefined();
  expect(spreadWeights(equal, 4)).toEqual(equal);
  const heavy = Float32Array.from({ length: 400 }, (_, row) => (row % 100 === 0 ? 14 : 0.02));
  expect(effectiveRows(heavy)).toBeLessThan(6);
  const spread = spreadWeights(heavy, 50) as Float32Array;
  expect(effectiveRows(spread)).toBeGreaterThanOrEqual(100);
  expect(spread[0]).toBe(14);
  const [least, next] = [spread[1] as number, 2 * 0.02];
  expect(least).toBeGreaterThan(next);
  const before = heavy.map((weight) => Math.max(least / 2, weight));
  expect(effectiveRows(before)).toBeLessThan(100); // no more than needed
});
