import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quantizeTwinSoftmax, twinSoftmaxTable, type TwinBoundary } from '../../src/kernels/quantizeTwinSoftmax.ts';
import { packRowMajor } from '../../src/reference/codes.ts';
import { quantizeTwinSoftmaxReference } from '../../src/reference/quantizeTwinSoftmax.ts';
import { expectSame, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

interface Twin {
  readonly bits: number;
  readonly shifts: readonly number[];
  readonly boundary?: TwinBoundary;
}

/** Codes of all candidates; the source lies behind 3 elements of something else. */
async function run(
  probs: Float32Array,
  depth: number,
  { bits, shifts, boundary = 'nearest' }: Twin,
): Promise<Uint32Array> {
  const inside = new Float32Array(probs.length + 3).fill(0.77);
  inside.set(probs, 3);
  const source = uploadInJunk(shared.pool, inside, 'probabilities');
  const rows = probs.length / depth;
  try {
    const entries = Float32Array.from(shifts.flatMap((shift) => twinSoftmaxTable(shift, bits, boundary)));
    const table = uploadInJunk(shared.pool, entries, 'table');
    const params = { candidates: shifts.length, rows, depth, bits, offset: 3 };
    const words = shifts.length * rows * Math.ceil(depth / 4);
    const bytes = await runInto(shared.pool, words, async (codes) => [
      await quantizeTwinSoftmax(shared.device, { source, table, codes }, params),
    ]);
    shared.pool.release(table);
    return new Uint32Array(bytes);
  } finally {
    shared.pool.release(source);
  }
}

function expected(probs: Float32Array, depth: number, { bits, shifts, boundary = 'nearest' }: Twin): Uint32Array {
  const rows = probs.length / depth;
  const codes = shifts.flatMap((shift) => [...quantizeTwinSoftmaxReference(probs, { bits, shift, boundary })]);
  return packRowMajor(codes, rows, depth);
}

describe('codes at the edges, 8 bits, shift 4', () => {
  const fine = 2 ** -11; // step of R1
  test.each([
    ['zero', 0, 0x00],
    ['one saturates in R2', 1, 0xff],
    ['half a step rounds to even (down)', 0.5 * fine, 0x00],
    ['one and a half rounds to even (up)', 1.5 * fine, 0x02],
    ['the last code of R1', 127 * fine, 0x7f],
    ['the midpoint between the ranges is in R2', 127.5 * fine, 0x88],
    ['just below the midpoint stays in R1', 127.5 * fine - 2 ** -28, 0x7f],
    ['the first code of R2 above R1', 2 ** -4, 0x88],
  ])('%s', async (_what, x, code) => {
    expect([...(await run(Float32Array.of(x), 1, { bits: 8, shifts: [4] }))]).toEqual([code]);
  });
});

test('a value between the ranges: the nearer code by the nearest boundary, zero by the published one', async () => {
  const x = Float32Array.of(0.0312);
  expect([...(await run(x, 1, { bits: 4, shifts: [5] }))]).toEqual([0x07]); // 0.0273
  expect([...(await run(x, 1, { bits: 4, shifts: [5], boundary: 'published' }))]).toEqual([0x07]);
  const y = Float32Array.of(0.04);
  expect([...(await run(y, 1, { bits: 4, shifts: [5] }))]).toEqual([0x07]);
  expect([...(await run(y, 1, { bits: 4, shifts: [5], boundary: 'published' }))]).toEqual([0x08]); // flag, magnitude 0
});

test.each([1, 3, 4, 5, 197, 255, 257])('depth %i: rows are padded to words', async (depth) => {
  const probs = Float32Array.from({ length: 3 * depth }, (_, i) => (i % 97) / 96);
  const twin = { bits: 8, shifts: [0, 4] };
  expectSame(await run(probs, depth, twin), expected(probs, depth, twin));
});

test('the attention of DeiT-Tiny, 13 candidates', async () => {
  const probs = Float32Array.from({ length: 3 * 197 * 197 }, (_, i) => ((i * 7919) % 4099) ** 4 / 4099 ** 4);
  const twin = { bits: 8, shifts: Array.from({ length: 13 }, (_, shift) => shift) };
  expectSame(await run(probs, 197, twin), expected(probs, 197, twin));
});

test('equals the reference bit for bit at every width, shift and boundary', async () => {
  // Random floats never land on a tie, so most values are odd multiples of half a step of one of the ranges.
  const twins = fc.record({
    bits: fc.integer({ min: 2, max: 8 }),
    shifts: fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 1, maxLength: 3 }),
    boundary: fc.constantFrom('nearest' as const, 'published' as const),
  });
  const withValues = twins.chain((twin) => {
    const step = fc.constantFrom(0, ...twin.shifts).map((shift) => 2 ** -(twin.bits - 1 + shift));
    const tie = fc.tuple(fc.nat(2 ** twin.bits), step).map(([k, s]) => Math.min(1, (k + 0.5) * s));
    const bound = fc.constantFrom(...twin.shifts).chain((shift) => {
      const [threshold] = twinSoftmaxTable(shift, twin.bits, twin.boundary);
      return fc
        .constantFrom(threshold, threshold * (1 - 2 ** -24), threshold * (1 + 2 ** -23))
        .map((x) => Math.min(1, x));
    });
    const uniform = fc.double({ min: 0, max: 1, noNaN: true });
    const values = fc.array(fc.oneof(tie, bound, uniform, fc.constantFrom(0, 1)), { minLength: 1, maxLength: 200 });
    return values.map((x) => ({ probs: Float32Array.from(x), twin }));
  });
  await fc.assert(
    fc.asyncProperty(withValues, async ({ probs, twin }) => {
      expectSame(await run(probs, probs.length, twin), expected(probs, probs.length, twin));
    }),
    { numRuns: 80, seed: 1 },
  );
});

test('refuses what it cannot do, with the number', async () => {
  const x = Float32Array.of(0.5);
  await expect(run(x, 1, { bits: 9, shifts: [4] })).rejects.toThrow('bits must be an integer in 2..8, got 9');
  await expect(run(x, 1, { bits: 8, shifts: [16] })).rejects.toThrow('shift must be an integer in 0..15, got 16');
});
