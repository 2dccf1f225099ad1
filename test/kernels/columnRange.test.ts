import { expect, test } from 'vitest';
import { columnRange, type ColumnRangeParams } from '../../src/kernels/columnRange.ts';
import { columnRangeReference } from '../../src/reference/columnRange.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

async function run(source: Float32Array, params: ColumnRangeParams): Promise<Float32Array> {
  const buffer = uploadInJunk(shared.pool, source, 'source');
  try {
    const bytes = await runInto(shared.pool, 2 * params.groups * params.columns, async (ranges) => [
      await columnRange(shared.device, { source: buffer, ranges }, params),
    ]);
    return new Float32Array(bytes);
  } finally {
    shared.pool.release(buffer);
  }
}

test.each([
  [1, 1, 1],
  [2, 1, 3],
  [3, 4, 5],
  [1, 255, 3],
  [5, 3, 255],
  [3, 257, 257],
  [2, 197, 192],
  [300, 2, 257],
])('%i groups of %i rows and %i columns', async (groups, rows, columns) => {
  const next = random(rows + columns);
  const source = Float32Array.from({ length: groups * rows * columns }, (_, i) =>
    i % 401 === 11 ? 215 : next() - 0.5,
  );
  const params = { groups, rows, columns };
  expectSame(await run(source, params), columnRangeReference(source, params));
});

test.each([0, 1, 2])('keeps both ends of columns of one sign, the extreme in row %i', async (row) => {
  const source = Float32Array.of(5, -5, 6, -6, 7, -7);
  source[2 * row] = 9;
  source[2 * row + 1] = -9;
  const low = Math.min(...[5, 6, 7].filter((_, i) => i !== row));
  expect([...(await run(source, { groups: 1, rows: 3, columns: 2 }))]).toEqual([low, 9, -9, -low]);
});

test('folds a grid of more than 65535 workgroups', async () => {
  const columns = 64 * 65535 + 3;
  const source = Float32Array.from({ length: columns }, (_, column) => column);
  const ranges = await run(source, { groups: 1, rows: 1, columns });
  expect(ranges.findIndex((value, i) => value !== i >> 1)).toBe(-1);
});

test('refuses rows that its buffer cannot hold', async () => {
  await expect(run(new Float32Array(10), { groups: 1, rows: 300, columns: 1 })).rejects.toThrow('source needs');
});
