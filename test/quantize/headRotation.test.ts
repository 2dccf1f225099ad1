import { expect, test } from 'vitest';
import { headRotation } from '../../src/quantize/headRotation.ts';
import { rangeOfRows } from '../support/channelRanges.ts';
import { nmse } from '../support/device.ts';
import { noise } from '../support/floats.ts';

function multiply(a: ArrayLike<number>, b: ArrayLike<number>, size: number, transposeB = false): number[] {
  return Array.from({ length: a.length }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    let sum = 0;
    for (let k = 0; k < size; k++) sum += a[row * size + k]! * b[transposeB ? column * size + k : k * size + column]!;
    return sum;
  });
}

/** Rows whose channels depend on each other and differ a thousandfold in size, with a mean. */
function rows(size: number, seed: number, mean: number): number[] {
  const mixed = multiply(noise(size * size, seed), noise(size * size, seed + 1), size);
  const all = Array.from({ length: 40 }, (_, i) => multiply(noise(size * size, seed + 2 + i), mixed, size)).flat();
  return all.map((value, i) => (mean + value) * 1000 ** ((i % size) / size));
}

function momentsOf(values: readonly number[], size: number) {
  return rangeOfRows(values, size, [Array.from({ length: size }, (_, i) => i)]).moments[0]!;
}

test.each([1, 2, 4, 6, 32])('queries and keys of %i channels get the same, even moments', (size) => {
  const [q, k] = [rows(size, 3, 0), rows(size, 700, 5)];
  const keys = momentsOf(k, size);
  const { ofQueries, ofKeys } = headRotation(momentsOf(q, size), keys);
  const identity = Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  expect(nmse(multiply(ofQueries, ofKeys, size, true), identity)).toBeLessThan(1e-12);
  const centered = k.map((value, i) => value - keys.mean[i % size]!);
  const after = [multiply(q, ofQueries, size), multiply(centered, ofKeys, size)].map(
    (x) => momentsOf(x, size).products,
  );
  expect(nmse(after[0]!, after[1]!)).toBeLessThan(1e-4);
  const variances = Array.from({ length: size }, (_, i) => after[0]![i * (size + 1)]!);
  const spread = Math.max(...variances) / Math.min(...variances);
  expect(spread).toBeLessThan((size & (size - 1)) === 0 ? 1.001 : 10); // Hartley's entries are not all of one size
});

test('channels of zeros stay finite', () => {
  const q = rows(4, 9, 0).map((value, i) => (i % 4 === 2 ? 0 : value));
  const zeros = q.map(() => 0);
  for (const [a, b] of [
    [q, rows(4, 11, 1)],
    [rows(4, 11, 1), q],
    [zeros, zeros],
  ] as const) {
    const { ofQueries, ofKeys } = headRotation(momentsOf(a, 4), momentsOf(b, 4));
    expect([...ofQueries, ...ofKeys].every(Number.isFinite)).toBe(true);
    const product = multiply(ofQueries, ofKeys, 4, true);
    expect(Math.max(...product.map((value, i) => Math.abs(value - (i % 5 === 0 ? 1 : 0))))).toBeLessThan(1e-6);
  }
});
