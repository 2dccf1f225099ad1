import { expect, test } from 'vitest';
import { bestBounds, joinRanges, largestMagnitudes } from '../../src/quantize/channelRanges.ts';
import { rangeOfRows } from '../support/channelRanges.ts';
import { random } from '../support/codes.ts';

const COUNT = 6000;

/** Sums of 12 uniform values around `mean`: nearly normal. */
function normal(seed: number, mean = 0): number[] {
  const next = random(seed);
  return Array.from({ length: COUNT }, () => mean + Array.from({ length: 12 }, next).reduce((sum, x) => sum + x, -6));
}

/** Mean squared error of codes of `bits` bits around `middle`. */
function codeError(values: readonly number[], middle: number, half: number, bits: number): number {
  const q = 2 ** (bits - 1);
  const step = half / (q - 0.5);
  const decoded = values.map((x) => middle + step * Math.max(-q, Math.min(q - 1, Math.round((x - middle) / step))));
  return decoded.reduce((sum, x, i) => sum + (x - values[i]!) ** 2, 0) / values.length;
}

test.each([8, 6, 4, 3])(
  'nearly normal values at %i bits: no worse than their ends, close to the best bounds',
  (bits) => {
    const values = normal(bits, 3);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const { middle, half } = bestBounds(rangeOfRows(values, 1), bits);
    const full = codeError(values, (low + high) / 2, (high - low) / 2, bits);
    let best = Infinity;
    for (let share = 0.3; share <= 1; share += 0.02)
      best = Math.min(best, codeError(values, (low + high) / 2, (share * (high - low)) / 2, bits));
    const chosen = codeError(values, middle[0]!, half[0]!, bits);
    expect(chosen).toBeLessThanOrEqual(1.0001 * full);
    expect(chosen).toBeLessThan(1.08 * best);
    if (bits <= 4) expect(chosen).toBeLessThan(0.8 * full);
  },
);

test('one-sided tails are clipped on their side alone', () => {
  const next = random(9);
  const values = normal(5).map((x) => (x > 0 ? x * x * x : -20 * next()));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const { middle, half } = bestBounds(rangeOfRows(values, 1), 4);
  const [from, to] = [middle[0]! - half[0]!, middle[0]! + half[0]!];
  expect(to).toBeLessThan(0.62 * high);
  expect(from).toBeLessThan(0.9 * low);
});

test('a few tokens of a massive outlier stay in range where clipping them would cost more than coarse steps', () => {
  const values = normal(6).map((x, i) => (i % 2000 === 7 ? 60 : x));
  const { middle, half } = bestBounds(rangeOfRows(values, 1), 8);
  expect(middle[0]! + half[0]!).toBeCloseTo(60, 3);
});

test('evenly spread values, few values and a single value are not clipped', () => {
  const next = random(3);
  const even = Array.from({ length: COUNT }, () => 5 * next() - 1);
  const few = normal(4).slice(0, 1000);
  for (const values of [even, few, [7, 7, 7]]) {
    const { middle, half } = bestBounds(rangeOfRows(values, 1), 4);
    const [low, high] = [Math.min(...values), Math.max(...values)].map(Math.fround) as [number, number];
    expect([middle[0], half[0]]).toEqual([(low + high) / 2, (high - low) / 2]);
  }
});

test('ranges of parts join to that of the whole', () => {
  const [left, right] = [normal(7, -1), normal(8, 2)];
  const rows = [...left, ...right].flatMap((x, i) => [x, i % 3, -x]);
  const whole = rangeOfRows(rows, 3);
  const parts = [rows.slice(0, 3 * COUNT), rows.slice(3 * COUNT)].map((values) => rangeOfRows(values, 3));
  const joined = joinRanges(parts);
  expect([joined.low, joined.high]).toEqual([whole.low, whole.high]);
  expect(joined.counts.reduce((sum, n) => sum + n, 0)).toBe(3 * 2 * COUNT);
  const [a, b] = [bestBounds(joined, 4), bestBounds(whole, 4)];
  for (let column = 0; column < 3; column++) expect(a.half[column]! / b.half[column]!).toBeCloseTo(1, 1);
  expect(joinRanges([whole])).toBe(whole);
  expect([...largestMagnitudes(whole)]).toEqual([0, 1, 2].map((c) => Math.max(-whole.low[c]!, whole.high[c]!)));
});
