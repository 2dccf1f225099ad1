import { expect, test } from 'vitest';
import { fillWords, gatherWords, NO_ROW, type GatherWordsShape } from '../../src/kernels/gatherWords.ts';
import { gatherWordsReference } from '../../src/reference/gatherWords.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

async function run(source: Uint32Array, indices: Uint32Array, shape: GatherWordsShape): Promise<Uint32Array> {
  const buffers = {
    source: uploadInJunk(shared.pool, source, 'source'),
    indices: uploadInJunk(shared.pool, indices, 'indices'),
  };
  try {
    const bytes = await runInto(shared.pool, shape.images * shape.rows * shape.words, async (y) => [
      await gatherWords(shared.device, { ...buffers, y }, shape),
    ]);
    return new Uint32Array(bytes);
  } finally {
    for (const buffer of Object.values(buffers)) shared.pool.release(buffer);
  }
}

test.each([
  [1, 1, 1, 1],
  [3, 4, 5, 1],
  [2, 5, 3, 4],
  [1, 255, 257, 3],
  [2, 257, 255, 5],
  [2, 3136, 3136, 24],
])('%i images of %i rows into %i rows of %i words', async (images, sourceRows, rows, words) => {
  const next = random(rows);
  const any = () => Math.floor(next() * 2 ** 32);
  const source = Uint32Array.from({ length: images * sourceRows * words }, any);
  const wanted = () => (next() < 0.2 ? NO_ROW : Math.floor(next() * sourceRows));
  const indices = Uint32Array.from({ length: rows }, wanted);
  indices[rows - 1] = sourceRows - 1;
  if (rows > 1) indices[0] = NO_ROW;
  const shape = { images, sourceRows, rows, words, fill: 0xfdfdfdfd, lastFill: 0x00fdfdfd };
  expectSame(await run(source, indices, shape), gatherWordsReference(source, indices, shape));
});

test('rows of fill are 0 by default; those of a code end in zeros past the columns', async () => {
  const shape = { images: 1, sourceRows: 1, rows: 2, words: 2 };
  expect([...(await run(Uint32Array.of(7, 8), Uint32Array.of(NO_ROW, 0), shape))]).toEqual([0, 0, 7, 8]);
  expect(fillWords(-3, 8)).toEqual({ fill: 0xfdfdfdfd, lastFill: 0xfdfdfdfd });
  expect(fillWords(5, 6)).toEqual({ fill: 0x05050505, lastFill: 0x0505 });
  expect(fillWords(-128, 1)).toEqual({ fill: 0x80808080, lastFill: 0x80 });
});

test('refuses what it cannot do, with the number', async () => {
  const one = Uint32Array.of(0);
  const shape = { images: 1, sourceRows: 1, rows: 1, words: 1 };
  await expect(run(one, one, { ...shape, words: 0 })).rejects.toThrow('words must be a positive integer, got 0');
  await expect(run(one, one, { ...shape, sourceRows: 30 })).rejects.toThrow('source needs 120 bytes');
  await expect(run(one, one, { ...shape, rows: 30 })).rejects.toThrow('indices needs 120 bytes');
});
