import { expect, test } from 'vitest';
import { dyadic } from '../../src/kernels/dyadic.ts';
import { meanRowsI16, type MeanRowsI16Params } from '../../src/kernels/meanRowsI16.ts';
import { packRowMajor } from '../../src/reference/codes.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { meanRowsI16Reference } from '../../src/reference/meanRowsI16.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { randomInt16 } from '../support/int16.ts';

const shared = useGpu();

async function run(x: Int16Array, params: MeanRowsI16Params): Promise<Uint32Array> {
  const { images, features, output } = params;
  const source = uploadInJunk(shared.pool, packInt16(x, features), 'x');
  try {
    const words = images * Math.ceil(features / (output === 'codes' ? 4 : 2));
    const bytes = await runInto(shared.pool, words, async (y) => [
      await meanRowsI16(shared.device, { x: source, y }, params),
    ]);
    return new Uint32Array(bytes);
  } finally {
    shared.pool.release(source);
  }
}

async function expectTwin(x: Int16Array, params: MeanRowsI16Params): Promise<void> {
  const { first = 0, bias = 0, images, features } = params;
  const means = meanRowsI16Reference(x, { ...params, first, bias });
  const packed = params.output === 'codes' ? packRowMajor(means, images, features) : packInt16(means, features);
  expectSame(await run(x, params), packed);
}

test.each([
  [1, 1, 1],
  [3, 4, 3],
  [2, 5, 4],
  [2, 3, 5],
  [1, 257, 255],
  [2, 49, 257],
  [2, 197, 192],
])('%i images of %i rows, %i features', async (images, rows, features) => {
  const x = randomInt16(images * rows * features, random(features));
  for (const first of rows > 3 ? [0, 2] : [0]) {
    const shape = { images, rows, features, first };
    const bias = 3000 - features;
    await expectTwin(x, { ...shape, output: 'int16', bias: 0, ...dyadic(1 / (rows - first), 'int16') });
    await expectTwin(x, { ...shape, output: 'int16', bias, ...dyadic(2 / rows, 'int16') });
    await expectTwin(x, { ...shape, output: 'codes', bias, ...dyadic(0.01 / rows, 8) });
    await expectTwin(x, { ...shape, output: 'codes', qmin: -8, qmax: 7, ...dyadic(0.002 / rows, 8) });
  }
});

test('halves round up, results saturate, a bias counts once', async () => {
  const x = Int16Array.of(3, -3, 32767, -32768, 2, 0, 32767, -32768);
  const params = { images: 1, rows: 2, features: 4, ...dyadic(1 / 2, 'int16'), output: 'int16' } as const;
  expect([...new Int16Array((await run(x, params)).buffer)]).toEqual([3, -1, 32767, -32768]);
  const sum = { ...params, ...dyadic(1, 'int16'), bias: -1, first: 1 };
  expect([...new Int16Array((await run(x, sum)).buffer)]).toEqual([1, -1, 32766, -32768]);
});

test('refuses what it cannot do, with the number', async () => {
  const x = Int16Array.of(1, 2);
  const good = { images: 1, rows: 1, features: 2, output: 'int16', ...dyadic(0.5, 'int16') } as const;
  const refused = (change: Partial<MeanRowsI16Params>) => expect(run(x, { ...good, ...change })).rejects;
  await refused({ rows: 0 }).toThrow('rows must be a positive integer, got 0');
  await refused({ first: 1 }).toThrow('first must be below 1 rows, got 1');
  await refused({ output: 'codes' }).toThrow('shift 15, wanted 17..46');
  await refused({ bias: 2 ** 31 - 1 }).toThrow('a bias of 2147483647 can pass a 32-bit sum');
  await refused({ rows: 30 }).toThrow('x needs 120 bytes');
});
