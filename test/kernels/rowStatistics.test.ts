import { expect, test } from 'vitest';
import { rowStatistics, type RowStatisticsParams } from '../../src/kernels/rowStatistics.ts';
import { rowStatisticsReference } from '../../src/reference/rowStatistics.ts';
import { random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

async function run(source: Float32Array, params: RowStatisticsParams): Promise<Float32Array> {
  const buffer = uploadInJunk(shared.pool, source, 'source');
  const words = 2 * params.images * params.rows;
  try {
    const bytes = await runInto(shared.pool, words, async (statistics) => [
      await rowStatistics(shared.device, { source: buffer, statistics }, params),
    ]);
    return new Float32Array(bytes);
  } finally {
    shared.pool.release(buffer);
  }
}

async function expectStatistics(source: Float32Array, params: RowStatisticsParams): Promise<void> {
  const actual = await run(source, params);
  rowStatisticsReference(source, params).forEach((expected, i) => {
    const value = actual[i] as number;
    if (i % 2 === 0) expect(value).toBe(expected);
    else
      expect(Math.abs(value / expected - 1)).toBeLessThan(
        (params.heads * Math.ceil(params.columns / 4) + 3) * 2 ** -24,
      );
  });
}

/** A token-major tensor of several heads with one outlier of 215, and 1e9 outside the view. */
function tensor(
  images: number,
  heads: number,
  rows: number,
  columns: number,
  sign = 0,
): [Float32Array, RowStatisticsParams] {
  const rowStride = heads * columns + 2;
  const view = { offset: 3, imageStride: rows * rowStride + 1, headStride: columns, rowStride };
  const source = new Float32Array(view.offset + images * view.imageStride).fill(1e9);
  const next = random(rows * columns);
  for (let image = 0; image < images; image++) {
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < heads * columns; i++) {
        const x = 5 * (next() + next() - 1);
        source[view.offset + image * view.imageStride + row * rowStride + i] = sign ? sign * Math.abs(x) - sign : x;
      }
    }
  }
  source[view.offset + (rows - 1) * rowStride + columns - 1] = sign < 0 ? -215 : 215;
  return [source, { images, heads, rows, columns, view }];
}

test.each([
  [1, 1, 1, 1],
  [1, 1, 3, 4],
  [2, 1, 5, 63],
  [1, 2, 31, 65],
  [2, 3, 33, 64],
  [1, 1, 257, 255],
  [2, 3, 197, 197],
  [1, 1, 197, 768],
  [3, 1, 4, 66],
])('%i images, %i heads, %i rows, %i columns', async (images, heads, rows, columns) => {
  await expectStatistics(...tensor(images, heads, rows, columns));
});

test.each([1, -1])('values of one sign (%i)', async (sign) => {
  await expectStatistics(...tensor(1, 1, 40, 70, sign));
});

test('refuses a view that its buffer cannot hold', async () => {
  const [source, params] = tensor(1, 1, 3, 4);
  await expect(run(source, { ...params, rows: 300 })).rejects.toThrow('source needs');
});
