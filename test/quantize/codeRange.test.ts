import { expect, test } from 'vitest';
import { codeRange, scaleOf } from '../../src/quantize/codeRange.ts';

test('the restricted range leaves out the lowest code alone', () => {
  expect(codeRange(8)).toEqual({ low: -128, high: 127 });
  expect(codeRange(8, true)).toEqual({ low: -127, high: 127 });
  expect([codeRange(2), codeRange(2, true)]).toEqual([
    { low: -2, high: 1 },
    { low: -1, high: 1 },
  ]);
});

test('a symmetric scale ends the last code in its own cell', () => {
  for (const restricted of [false, true]) {
    const codes = codeRange(4, restricted);
    expect(scaleOf({ low: -3, high: 7.5 }, codes, true)).toEqual({ scale: 1, zero: 0 });
    expect(scaleOf({ low: -15, high: 3 }, codes, true)).toEqual({ scale: 2, zero: 0 });
  }
});

test('the ends of a range fall on the first and the last code, with 0 among them', () => {
  const codes = codeRange(4);
  expect(scaleOf({ low: -5, high: 10 }, codes, false)).toEqual({ scale: 1, zero: -3 });
  expect(scaleOf({ low: -5.4, high: 9.6 }, codes, false)).toEqual({ scale: 1, zero: -3 }); // the nearest code
  expect(scaleOf({ low: -4.6, high: 10.4 }, codes, false)).toEqual({ scale: 1, zero: -3 });
  expect(scaleOf({ low: -15, high: -3 }, codes, false)).toEqual({ scale: 1, zero: 7 });
  expect(scaleOf({ low: -6, high: 8 }, codeRange(4, true), false)).toEqual({ scale: 1, zero: -1 });
  // without negative values: -zero must be a code too, so that one code is left out
  expect(scaleOf({ low: 2, high: 14 }, codes, false)).toEqual({ scale: 1, zero: -7 });
  expect(scaleOf({ low: 0, high: 0 }, codes, false).zero).toBe(0);
  expect(scaleOf({ low: 0, high: 0 }, codes, false).scale).toBeGreaterThan(0);
});
