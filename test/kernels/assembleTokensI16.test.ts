import { expect, test } from 'vitest';
import { assembleTokensI16, type AssembleTokensI16Shape } from '../../src/kernels/assembleTokensI16.ts';
import { assembleTokensI16Reference } from '../../src/reference/assembleTokensI16.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { randomInt16 } from '../support/int16.ts';

const shared = useGpu();

async function run(x: Int16Array, tokens: Int16Array, shape: AssembleTokensI16Shape): Promise<Uint32Array> {
  const { images, rows, prefixRows, features } = shape;
  const buffers = {
    x: uploadInJunk(shared.pool, packInt16(x, features), 'x'),
    tokens: uploadInJunk(shared.pool, packInt16(tokens, features), 'tokens'),
  };
  try {
    const words = images * (prefixRows + rows) * Math.ceil(features / 2);
    const bytes = await runInto(shared.pool, words, async (y) => [
      await assembleTokensI16(shared.device, { ...buffers, y }, shape),
    ]);
    return new Uint32Array(bytes);
  } finally {
    for (const buffer of Object.values(buffers)) shared.pool.release(buffer);
  }
}

test.each([
  [1, 1, 1, 1],
  [3, 4, 0, 3],
  [2, 5, 2, 4],
  [2, 3, 1, 5],
  [1, 1, 1, 255],
  [2, 257, 2, 3],
  [2, 196, 1, 192],
])('%i images of %i rows behind %i tokens, %i features', async (images, rows, prefixRows, features) => {
  const next = random(images + rows);
  const x = randomInt16(images * rows * features, next);
  const tokens = randomInt16((prefixRows + rows) * features, next);
  const expected = packInt16(assembleTokensI16Reference(x, tokens, images), features);
  expectSame(await run(x, tokens, { images, rows, prefixRows, features }), expected);
});

test('sums saturate and prefix tokens are copied', async () => {
  const x = Int16Array.of(32767, -32768, 5, 6);
  const tokens = Int16Array.of(-32768, 32767, 1, -1);
  const y = await run(x, tokens, { images: 2, rows: 1, prefixRows: 1, features: 2 });
  expect([...new Int16Array(y.buffer)]).toEqual([-32768, 32767, 32767, -32768, -32768, 32767, 6, 5]);
});

test('refuses what it cannot do, with the number', async () => {
  const one = Int16Array.of(1);
  const shape = { images: 1, rows: 1, prefixRows: 0, features: 1 };
  await expect(run(one, one, { ...shape, rows: 0 })).rejects.toThrow('rows must be a positive integer, got 0');
  await expect(run(one, one, { ...shape, prefixRows: -1 })).rejects.toThrow('prefixRows');
  await expect(run(one, one, { ...shape, rows: 30 })).rejects.toThrow('x needs 120 bytes');
});
