import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dyadic, type Dyadic } from '../../src/kernels/dyadic.ts';
import { int16Words } from '../../src/kernels/int16.ts';
import { residualAddI16 } from '../../src/kernels/residualAddI16.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { residualAddI16Reference } from '../../src/reference/residualAddI16.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { randomInt16 } from '../support/int16.ts';

const shared = useGpu();

async function run(a: Int16Array, b: Int16Array, rescaleA: Dyadic, rescaleB: Dyadic): Promise<Int16Array> {
  const words = int16Words(a.length);
  const buffers = {
    a: uploadInJunk(shared.pool, packInt16(a, a.length), 'a'),
    b: uploadInJunk(shared.pool, packInt16(b, b.length), 'b'),
  };
  try {
    const bytes = await runInto(shared.pool, words, async (y) => [
      await residualAddI16(shared.device, { ...buffers, y }, { words, rescaleA, rescaleB }),
    ]);
    return new Int16Array(bytes, 0, a.length);
  } finally {
    for (const buffer of Object.values(buffers)) shared.pool.release(buffer);
  }
}

async function expectSum(count: number, ratioA: number, ratioB: number, seed: number): Promise<void> {
  const next = random(seed);
  const [a, b] = [randomInt16(count, next), randomInt16(count, next)];
  const [rescaleA, rescaleB] = [dyadic(ratioA, 16), dyadic(ratioB, 16)];
  const expected = residualAddI16Reference(a, b, rescaleA, rescaleB);
  expectSame(Int32Array.from(await run(a, b, rescaleA, rescaleB)), Int32Array.from(expected));
}

test.each([1, 3, 4, 5, 255, 257, 197 * 192])('%i integers', async (count) => {
  await expectSum(count, 0.71, 1.3, count);
});

test('random ratios, those that saturate and those that tie among them', async () => {
  const ratio = fc.oneof(
    fc.constantFrom(1, 0.5, 0.25, 2 ** -15, 2 ** -32, 2 ** 29),
    fc.double({ min: 2 ** -20, max: 16, noNaN: true }),
  );
  const cases = fc.tuple(ratio, ratio, fc.integer({ min: 1, max: 1e6 }));
  await fc.assert(
    fc.asyncProperty(cases, ([ratioA, ratioB, seed]) => expectSum(64, ratioA, ratioB, seed)),
    { numRuns: 40, seed: 1 },
  );
});

test('refuses what it cannot do, with the number', async () => {
  const one = Int16Array.of(1);
  const good = dyadic(1, 16);
  await expect(run(one, one, { multiplier: 2 ** 31, shift: 31 }, good)).rejects.toThrow('got 2147483648');
  await expect(run(one, one, good, { multiplier: 2 ** 30, shift: 63 })).rejects.toThrow(
    'shift of b must be at most 62',
  );
  await expect(run(Int16Array.of(), one, good, good)).rejects.toThrow('words must be a positive integer, got 0');
});
