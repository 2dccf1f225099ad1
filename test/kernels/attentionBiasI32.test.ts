import { expect, test } from 'vitest';
import { attentionBiasI32, type AttentionBiasI32Shape } from '../../src/kernels/attentionBiasI32.ts';
import { attentionBiasI32Reference } from '../../src/reference/attentionBiasI32.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

interface Operands {
  readonly scores: Int32Array<ArrayBuffer>;
  readonly index: Uint32Array;
  readonly values: Int32Array<ArrayBuffer>;
  readonly regions: Uint32Array | null;
}

async function run({ scores, index, values, regions }: Operands, shape: AttentionBiasI32Shape): Promise<Int32Array> {
  const upload = (data: Int32Array<ArrayBuffer> | Uint32Array, label: string) =>
    uploadInJunk(shared.pool, new Uint32Array(data.buffer as ArrayBuffer), label);
  const buffers = {
    scores: upload(scores, 'scores'),
    index: upload(index, 'index'),
    values: upload(values, 'values'),
    regions: regions && upload(regions, 'regions'),
  };
  try {
    const bytes = await runInto(shared.pool, scores.length, async (y) => [
      await attentionBiasI32(shared.device, { ...buffers, y }, shape),
    ]);
    return new Int32Array(bytes);
  } finally {
    for (const buffer of Object.values(buffers)) if (buffer) shared.pool.release(buffer);
  }
}

function operands({ images, windows, heads, tokens, entries }: AttentionBiasI32Shape, masked: boolean): Operands {
  const next = random(tokens + entries);
  const special = [-(2 ** 31), 1 - 2 ** 31, 2 ** 31 - 1, -1, 0];
  const any = (size: number) =>
    next() < 0.1 ? (special[Math.floor(5 * next())] as number) : Math.floor((next() - 0.5) * size);
  return {
    scores: Int32Array.from({ length: images * windows * heads * tokens ** 2 }, () => any(2 ** 32 - 2)),
    index: Uint32Array.from({ length: tokens ** 2 }, () => Math.floor(next() * entries)),
    values: Int32Array.from({ length: heads * entries }, () => any(next() < 0.5 ? 2 ** 32 - 2 : 2 ** 20)),
    regions: masked ? Uint32Array.from({ length: windows * tokens }, () => Math.floor(next() * 3)) : null,
  };
}

test.each([
  [1, 1, 1, 1, 1],
  [2, 3, 2, 4, 5],
  [2, 1, 3, 5, 9],
  [1, 4, 3, 49, 169],
  [1, 1, 1, 144, 529],
])('%i images of %i windows, %i heads, %i tokens, %i entries', async (images, windows, heads, tokens, entries) => {
  const shape = { images, windows, heads, tokens, entries };
  for (const masked of [false, true]) {
    const given = operands(shape, masked);
    expectSame(await run(given, shape), attentionBiasI32Reference(given.scores, given, shape));
  }
});

test('sums saturate above what is masked, which stays so', async () => {
  const [low, high] = [-(2 ** 31), 2 ** 31 - 1];
  const given = {
    scores: Int32Array.of(5, low + 1, low, high),
    index: Uint32Array.of(0, 1, 2, 3),
    values: Int32Array.of(2, -7, 100, 1),
    regions: null,
  };
  const shape = { images: 1, windows: 1, heads: 1, tokens: 2, entries: 4 };
  expect([...(await run(given, shape))]).toEqual([7, low + 1, low, high]);
  const apart = { ...given, regions: Uint32Array.of(4, 9) };
  expect([...(await run(apart, shape))]).toEqual([7, low, low, high]);
});

test('refuses what it cannot do, with the number', async () => {
  const shape = { images: 1, windows: 1, heads: 1, tokens: 1, entries: 1 };
  const given = operands(shape, true);
  const refused = (change: Partial<AttentionBiasI32Shape>) => expect(run(given, { ...shape, ...change })).rejects;
  await refused({ heads: 0 }).toThrow('heads must be a positive integer, got 0');
  await refused({ images: 40 }).toThrow('scores needs 160 bytes');
  await refused({ entries: 40 }).toThrow('values needs 160 bytes');
});
