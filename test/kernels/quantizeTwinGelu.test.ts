import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GELU_DEPTH, quantizeTwinGelu, tieGelu, twinGeluTable } from '../../src/kernels/quantizeTwinGelu.ts';
import { packRowMajor } from '../../src/reference/codes.ts';
import { quantizeTwinGeluReference } from '../../src/reference/quantizeTwinGelu.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();
type Table = [inverseR1: number, inverseR2: number][];

/** Codes of all candidates; the source lies behind 3 elements of something else. */
async function run(values: Float32Array, depth: number, bits: number, entries: Table): Promise<Uint32Array> {
  const inside = new Float32Array(values.length + 3).fill(-0.1);
  inside.set(values, 3);
  const source = uploadInJunk(shared.pool, inside, 'activations');
  const table = uploadInJunk(shared.pool, Float32Array.from(entries.flat()), 'table');
  const rows = values.length / depth;
  try {
    const params = { candidates: entries.length, rows, depth, bits, offset: 3 };
    const words = entries.length * rows * Math.ceil(depth / 4);
    const bytes = await runInto(shared.pool, words, async (codes) => [
      await quantizeTwinGelu(shared.device, { source, table, codes }, params),
    ]);
    return new Uint32Array(bytes);
  } finally {
    shared.pool.release(source);
    shared.pool.release(table);
  }
}

function expected(values: Float32Array, depth: number, bits: number, entries: Table): Uint32Array {
  const codes = entries.flatMap(([inverseR1, inverseR2]) => [
    ...quantizeTwinGeluReference(values, { bits, inverseR1, inverseR2 }),
  ]);
  return packRowMajor(codes, values.length / depth, depth);
}

describe('codes at the edges, 8 bits, R1 in steps of 1/1024, R2 of 1/64', () => {
  test.each([
    ['zero', 0, 0x00],
    ['minus zero', -0, 0x00],
    ['half a positive step rounds to magnitude 0: code 0 without a flag', 0.5 / 64, 0x00],
    ['one and a half positive steps', 1.5 / 64, 0x82],
    ['215 saturates', 215, 0xff],
    ['half a negative step', -0.5 / 1024, 0x00],
    ['one and a half negative steps', -1.5 / 1024, 0x02],
    ['the lowest GELU saturates', -GELU_DEPTH, 0x7f],
    ['the last code of R1', -126.6 / 1024, 0x7f],
  ])('%s', async (_what, x, code) => {
    expect([...(await run(Float32Array.of(x), 1, 8, [[1024, 64]]))]).toEqual([code]);
  });
});

test.each([1, 3, 4, 5, 255, 257, 768])('depth %i: rows are padded to words', async (depth) => {
  const next = random(depth);
  const values = Float32Array.from({ length: 5 * depth }, (_, i) => (i % 401 === 11 ? 215 : 5 * next() - 0.17));
  const entries: Table = [
    [752.3, 1.7],
    [64, 64],
  ];
  expectSame(await run(values, depth, 8, entries), expected(values, depth, 8, entries));
});

test('equals the reference bit for bit at every width', async () => {
  const widths = fc.record({
    bits: fc.integer({ min: 2, max: 8 }),
    scaleR2: fc.constantFrom(0.25, 0.0312, 1.7, 2 ** -9),
  });
  const withValues = widths.chain(({ bits, scaleR2 }) => {
    const { scaleR1 } = tieGelu(scaleR2, bits, 9);
    const positive = fc.nat(2 ** bits).map((k) => (k + 0.5) * scaleR2);
    const negative = fc.nat(2 ** bits).map((k) => -(k + 0.5) * scaleR1);
    const any = fc.double({ min: -GELU_DEPTH, max: 8, noNaN: true });
    const edge = fc.constantFrom(0, -0, 215, -GELU_DEPTH);
    const values = fc.array(fc.oneof(positive, negative, any, edge), { minLength: 1, maxLength: 200 });
    return values.map((x) => ({ x: Float32Array.from(x), bits, table: [twinGeluTable(scaleR1, scaleR2)] as Table }));
  });
  await fc.assert(
    fc.asyncProperty(withValues, async ({ x, bits, table }) => {
      expectSame(await run(x, x.length, bits, table), expected(x, x.length, bits, table));
    }),
    { numRuns: 80, seed: 1 },
  );
});

describe('the tie of the ranges', () => {
  const smallest = GELU_DEPTH / 127.5;
  test.each([
    ['below the smallest scale: 0', smallest * 0.9, 9, 0],
    ['exactly 2^3 of it', smallest * 8, 9, 3],
    ['the double below 2^3 of it', smallest * 8 * (1 - 2 ** -53), 9, 2],
    ['bounded by the accumulator', 1.7, 6, 6],
    ['1.7 unbounded', 1.7, 15, 10],
  ])('%s', (_what, scaleR2, maxShift, shift) => {
    expect(tieGelu(scaleR2, 8, maxShift)).toEqual({ shift, scaleR1: scaleR2 / 2 ** shift });
  });

  test('refuses a scale of zero', () => {
    expect(() => tieGelu(0, 8, 9)).toThrow('scaleR2 must be positive and finite, got 0');
  });
});

test('refuses what it cannot do, with the number', async () => {
  await expect(run(Float32Array.of(1), 1, 1, [[1, 1]])).rejects.toThrow('bits must be an integer in 2..8, got 1');
});
