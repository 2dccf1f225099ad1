import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dyadic } from '../../src/kernels/dyadic.ts';
import { dyadicRescale16, dyadicRescale8, integerRoot, saturatingAdd16 } from '../../src/reference/fixedPoint.ts';
import { rescaleArguments, rescaleOracle } from '../support/fixedPoint.ts';

test('8-bit rescaling is the rounded quotient of big integers', () => {
  const check = ([acc, multiplier, shift]: readonly [number, number, number]) => {
    expect(BigInt(dyadicRescale8(acc, multiplier, shift))).toBe(rescaleOracle(acc, multiplier, shift));
  };
  fc.assert(fc.property(rescaleArguments(8), check), { numRuns: 20_000, seed: 3 });
});

test('16-bit rescaling is the rounded quotient of big integers, saturated', () => {
  const check = ([acc, multiplier, shift]: readonly [number, number, number]) => {
    expect(BigInt(dyadicRescale16(acc, multiplier, shift))).toBe(rescaleOracle(acc, multiplier, shift));
  };
  fc.assert(fc.property(rescaleArguments(16), check), { numRuns: 20_000, seed: 4 });
});

test('ties go toward +infinity', () => {
  expect([-3, -1, 1, 3].map((acc) => dyadicRescale8(acc * 4, 2 ** 14, 17))).toEqual([-1, 0, 1, 2]);
  expect([-3, -1, 1, 3].map((acc) => dyadicRescale16(acc, 2 ** 30, 31))).toEqual([-1, 0, 1, 2]);
});

test('sums of 16 bits saturate, at the extremes of both terms too', () => {
  expect(saturatingAdd16(32767, 1)).toBe(32767);
  expect(saturatingAdd16(-32768, -1)).toBe(-32768);
  expect(saturatingAdd16(40000, -10000)).toBe(30000);
  expect(saturatingAdd16(-(2 ** 31), -(2 ** 31))).toBe(-32768);
  expect(saturatingAdd16(2 ** 31 - 1, 2 ** 31 - 1)).toBe(32767);
});

test('integer roots lie between their squares, next to squares too', () => {
  const roots = fc.bigInt({ min: 0n, max: 2n ** 30n - 1n });
  fc.assert(
    fc.property(roots, fc.constantFrom(-1n, 0n, 1n), (root, offset) => {
      const x = root * root + offset;
      if (x < 0n) return;
      const found = integerRoot(x);
      expect(found * found <= x && (found + 1n) ** 2n > x).toBe(true);
    }),
    { numRuns: 5000, seed: 5 },
  );
});

test('a dyadic number is the nearest with as many bits', () => {
  const ratio = (low: number, high: number) =>
    fc.tuple(fc.double({ min: 1, max: 2, maxExcluded: true, noNaN: true }), fc.integer({ min: low, max: high }));
  const check =
    (width: 8 | 16) =>
    ([fraction, exponent]: readonly [number, number]) => {
      const bits = width === 8 ? 15 : 31;
      const x = fraction * 2 ** exponent;
      const { multiplier, shift } = dyadic(x, width);
      expect(multiplier).toBeGreaterThanOrEqual(2 ** (bits - 1));
      expect(multiplier).toBeLessThan(2 ** bits);
      expect(Math.abs(x * 2 ** shift - multiplier)).toBeLessThanOrEqual(0.5);
    };
  fc.assert(fc.property(ratio(-32, -4), check(8)), { numRuns: 5000, seed: 6 });
  fc.assert(fc.property(ratio(-32, 28), check(16)), { numRuns: 5000, seed: 7 });
});

test.each([
  [2 ** -32, 8, 2 ** 14, 46],
  [0.25 - 2 ** -17, 8, 2 ** 15 - 1, 17],
  [2 ** -32, 16, 2 ** 30, 62],
  [1, 16, 2 ** 30, 30],
  [2 ** 30 - 1, 16, 2 ** 31 - 2, 1],
  [1 - 2 ** -52, 16, 2 ** 30, 30], // rounds up to the next power of two
] as const)('%f at width %i is %i / 2^%i', (ratio, width, multiplier, shift) => {
  expect(dyadic(ratio, width)).toEqual({ multiplier, shift });
});

test.each([
  [0.25, 8],
  [0.25 - 2 ** -20, 8],
  [2 ** -32 * (1 - 2 ** -10), 8],
  [0, 8],
  [-0.1, 8],
  [NaN, 8],
  [Infinity, 16],
  [2 ** 30, 16],
  [2 ** -33, 16],
] as const)('%f has no dyadic form of width %i', (ratio, width) => {
  expect(() => dyadic(ratio, width)).toThrow(RangeError);
  expect(() => dyadic(ratio, width)).toThrow(`by ${ratio} is outside`);
});
