import { expect, test } from 'vitest';
import { reduceColumns } from '../../src/kernels/reduceColumns.ts';
import { reduceColumnsReference } from '../../src/reference/reduceColumns.ts';
import { random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

async function run(source: Float32Array, rows: number, columns: number, parts: number): Promise<Float32Array> {
  const buffer = uploadInJunk(shared.pool, source, 'source');
  try {
    const bytes = await runInto(shared.pool, rows * parts, async (sums) => [
      await reduceColumns(shared.device, { source: buffer, sums }, { rows, columns, parts }),
    ]);
    return new Float32Array(bytes);
  } finally {
    shared.pool.release(buffer);
  }
}

test.each([
  [1, 1, 1],
  [3, 3, 3],
  [4, 5, 1],
  [2, 31, 1],
  [2, 33, 1],
  [5, 255, 5],
  [257, 257, 1],
  [70, 576, 3],
  [7, 576, 576],
  [9, 3072, 1],
])('%i rows of %i columns in %i parts', async (rows, columns, parts) => {
  const next = random(columns);
  const source = Float32Array.from({ length: rows * columns }, (_, i) => (i % 401 === 11 ? 215 ** 2 : next() ** 4));
  const sums = await run(source, rows, columns, parts);
  const worst = reduceColumnsReference(source, columns, parts).reduce(
    (error, expected, i) => Math.max(error, Math.abs((sums[i] as number) / expected - 1)),
    0,
  );
  expect(worst).toBeLessThan(7.6e-6);
});

test('sums blocks of 32 in index order, then the blocks', async () => {
  const source = new Float32Array(96).fill(2 ** -24);
  source[0] = 1; // a plain running sum loses every later addend to a tie; blocks keep 64 of them
  const f32 = Math.fround;
  expect([...(await run(source, 1, 96, 1))]).toEqual([f32(f32(1 + 2 ** -19) + 2 ** -19)]);
});

test('refuses parts that do not divide the columns', async () => {
  await expect(run(new Float32Array(10), 1, 10, 3)).rejects.toThrow('10 columns do not divide into 3 equal parts');
});
