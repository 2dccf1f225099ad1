import { expect, test } from 'vitest';
import { histogram, type HistogramParams } from '../../src/kernels/histogram.ts';
import { histogramReference } from '../../src/reference/histogram.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

/** Counts of the view, added `times` times to zeros. */
async function run(
  source: Float32Array,
  inverseWidths: Float32Array,
  params: HistogramParams,
  { times = 1, lines = 1 } = {},
): Promise<Uint32Array> {
  const { pool, device } = shared;
  const buffers = {
    source: uploadInJunk(pool, source, 'source'),
    inverseWidths: uploadInJunk(pool, inverseWidths, 'inverse widths'),
  };
  try {
    const words = 2 * params.heads * params.bins;
    const bytes = await runInto(pool, words, async (counts) => {
      device.queue.writeBuffer(counts, 0, new Uint32Array(words));
      const dispatches = [];
      for (let i = 0; i < times; i++) {
        const dispatch = await histogram(device, { ...buffers, counts }, params);
        const grid = [Math.ceil(dispatch.grid[0] / lines), lines, 1] as const;
        dispatches.push(lines === 1 ? dispatch : { ...dispatch, grid });
      }
      return dispatches;
    });
    return new Uint32Array(bytes);
  } finally {
    Object.values(buffers).forEach((buffer) => pool.release(buffer));
  }
}

/** Token-major heads with values of deviation 5, edges of bins among them, an outlier of 215, and 1e9 outside the view. */
function tensor(images: number, heads: number, rows: number, columns: number, bins: number) {
  const rowStride = heads * columns + 2;
  const view = { offset: 3, imageStride: rows * rowStride + 1, headStride: columns, rowStride };
  const source = new Float32Array(view.offset + images * view.imageStride).fill(1e9);
  const next = random(rows * columns + heads);
  const inverseWidths = Float32Array.from({ length: heads }, (_, head) => Math.fround(bins / (215 / 2 ** head)));
  for (let image = 0; image < images; image++) {
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < heads * columns; i++) {
        const edge = (Math.floor(next() * 9) - 4) / (inverseWidths[0] as number);
        const x = next() < 0.2 ? edge : 5 * (next() + next() - 1);
        source[view.offset + image * view.imageStride + row * rowStride + i] = x;
      }
    }
  }
  source[view.offset + (rows - 1) * rowStride + columns - 1] = 215;
  return { source, inverseWidths, params: { images, heads, rows, columns, bins, view } };
}

test.each([
  [1, 1, 1, 1, 3],
  [1, 1, 3, 4, 2048],
  [2, 1, 5, 63, 16],
  [1, 2, 31, 65, 128],
  [2, 3, 33, 64, 2048],
  [1, 1, 257, 255, 2048],
  [2, 3, 197, 197, 2048],
])('%i images, %i heads, %i rows, %i columns, %i bins', async (images, heads, rows, columns, bins) => {
  const { source, inverseWidths, params } = tensor(images, heads, rows, columns, bins);
  const expected = histogramReference(source, inverseWidths, params);
  expect(expected.reduce((sum, count) => sum + count, 0)).toBe(images * heads * rows * columns);
  expectSame(await run(source, inverseWidths, params), expected);
  expectSame(await run(source, inverseWidths, params, { lines: 3 }), expected);
  expectSame(
    await run(source, inverseWidths, params, { times: 2 }),
    expected.map((count) => 2 * count),
  );
});

test('edges of bins, both zeros, and what passes the last bin', async () => {
  const source = Float32Array.of(0, -0, 0.5, 1, -1, -0.5, 1.9999999, 2, 3, 4, -4, 1e30, -1e30);
  const view = { offset: 0, imageStride: 0, headStride: 0, rowStride: source.length };
  const params = { images: 1, heads: 1, rows: 1, columns: source.length, bins: 4, view };
  // -4 ... -3, -3 ... -2, -2 ... -1, below 0; from 0 to 1, 1 to 2, 2 to 3, 3 and more
  expect([...(await run(source, Float32Array.of(1), params))]).toEqual([2, 0, 1, 1, 3, 2, 1, 3]);
});

test('refuses a view or a table that its buffer cannot hold', async () => {
  const { source, inverseWidths, params } = tensor(1, 1, 3, 4, 8);
  await expect(run(source, inverseWidths, { ...params, rows: 300 })).rejects.toThrow('source needs');
  await expect(run(source, inverseWidths, { ...params, bins: 0 })).rejects.toThrow('bins must be');
  await expect(
    run(source, inverseWidths, { ...params, images: 1, heads: 40, view: { ...params.view, headStride: 0 } }),
  ).rejects.toThrow('inverseWidths needs');
});
