import { expect, test } from 'vitest';
import { gatherRows, type GatherRowsParams } from '../../src/kernels/gatherRows.ts';
import { gatherRowsReference } from '../../src/reference/gatherRows.ts';
import { random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

/** All words of the destination: `before` words that must stay, then the gathered ones. */
async function run(source: Uint32Array, indices: Uint32Array, params: GatherRowsParams): Promise<Uint32Array> {
  const buffers = {
    source: uploadInJunk(shared.pool, source, 'source'),
    indices: uploadInJunk(shared.pool, indices, 'indices'),
  };
  const { images, heads, rows, columns, targetOffset } = params;
  try {
    const bytes = await runInto(shared.pool, targetOffset + images * heads * rows * columns, async (destination) => [
      await gatherRows(shared.device, { ...buffers, destination }, params),
    ]);
    return new Uint32Array(bytes);
  } finally {
    for (const buffer of Object.values(buffers)) shared.pool.release(buffer);
  }
}

test.each([
  [1, 1, 1, 1, 1],
  [1, 1, 5, 3, 4],
  [2, 3, 5, 2, 5],
  [3, 2, 31, 7, 1],
  [1, 1, 257, 255, 3],
  [2, 3, 197, 24, 64],
])('%i images, %i heads, %i rows of which %i, %i columns', async (images, heads, available, rows, columns) => {
  const rowStride = heads * columns + 1;
  const view = { offset: 2, imageStride: available * rowStride + 3, headStride: columns, rowStride };
  const next = random(available);
  const source = Uint32Array.from({ length: view.offset + images * view.imageStride }, () => next() * 2 ** 32);
  const indices = Uint32Array.from({ length: images * rows }, () => Math.floor(next() * available));
  const params = { images, heads, rows, columns, view, targetOffset: 0 };
  expect([...(await run(source, indices, params))]).toEqual([...gatherRowsReference(source, indices, params)]);
});

test('moves bits: subnormal numbers and NaN survive', async () => {
  const source = Uint32Array.of(1, 0x7fc12345, 0xff800001, 0x80000000);
  const view = { offset: 0, imageStride: 4, headStride: 0, rowStride: 1 };
  const params = { images: 1, heads: 1, rows: 4, columns: 1, view, targetOffset: 0 };
  expect([...(await run(source, Uint32Array.of(3, 2, 1, 0), params))]).toEqual([...source].reverse());
});

test('writes after what is there already', async () => {
  const view = { offset: 0, imageStride: 2, headStride: 0, rowStride: 2 };
  const params = { images: 1, heads: 1, rows: 1, columns: 2, view, targetOffset: 3 };
  const words = await run(Uint32Array.of(7, 8), Uint32Array.of(0), params);
  expect([...words.subarray(3)]).toEqual([7, 8]);
  expect(words.subarray(0, 3)).not.toContain(7);
});

test('refuses a destination that is too small', async () => {
  const view = { offset: 0, imageStride: 0, headStride: 0, rowStride: 4 };
  const source = shared.pool.upload(new Uint32Array(4), 'source');
  const small = { images: 1, heads: 1, rows: 9, columns: 4, view, targetOffset: 0 };
  await expect(gatherRows(shared.device, { source, indices: source, destination: source }, small)).rejects.toThrow(
    'needs',
  );
  shared.pool.release(source);
});
