import { expect, test } from 'vitest';
import { rowStatistics, type RowStatisticsParams } from '../../src/kernels/rowStatistics.ts';
import { rowStatisticsReference } from '../../src/reference/rowStatistics.ts';
import { runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { outlierTensor } from '../support/outlierTensor.ts';

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
  await expectStatistics(...outlierTensor(images, heads, rows, columns));
});

test.each([1, -1])('values of one sign (%i)', async (sign) => {
  await expectStatistics(...outlierTensor(1, 1, 40, 70, sign));
});

test('refuses a view that its buffer cannot hold', async () => {
  const [source, params] = outlierTensor(1, 1, 3, 4);
  await expect(run(source, { ...params, rows: 300 })).rejects.toThrow('source needs');
});
