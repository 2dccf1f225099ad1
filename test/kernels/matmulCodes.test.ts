import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matmulCodes, type MatmulCodesParams } from '../../src/kernels/matmulCodes.ts';
import { packDepthMajor, packRowMajor } from '../../src/reference/codes.ts';
import { matmulCodesReference } from '../../src/reference/matmulCodes.ts';
import { expectSame, random, randomCodes, randomTwinCodes, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

interface Case extends Partial<MatmulCodesParams> {
  rows: number;
  depth: number;
  columns: number;
  seed?: number;
  sharedB?: boolean;
}

function shapeOf({ rows, depth, columns, seed: _seed, sharedB = false, ...rest }: Case): MatmulCodesParams {
  const heads = rest.heads ?? 1;
  return {
    images: 1,
    heads,
    rows,
    depth,
    columns,
    aKind: 'uniform',
    aBits: 8,
    shift: 0,
    bBatchStride: sharedB ? 0 : Math.ceil(depth / 4) * columns,
    scaleHeadStride: 0,
    scaleColumnStride: 0,
    output: { offset: 0, imageStride: heads * rows * columns, headStride: rows * columns, rowStride: columns },
    ...rest,
  };
}

/** Packed random operands of a shape; the largest codes are planted. */
function operands(params: MatmulCodesParams, seed = 1): { a: Uint32Array; b: Uint32Array } {
  const { images, heads, rows, depth, columns, aKind, aBits, bBatchStride } = params;
  const next = random(seed);
  const batch = images * heads;
  const codesA = (aKind === 'uniform' ? randomCodes : randomTwinCodes)(batch * rows * depth, aBits, next);
  codesA.fill(aKind === 'uniform' ? -(2 ** (aBits - 1)) : 2 ** aBits - 1, 0, Math.min(depth, codesA.length));
  const codesB = randomCodes((bBatchStride ? batch : 1) * columns * depth, 8, next);
  codesB.fill(-128, 0, depth);
  return { a: packRowMajor(codesA, rows, depth), b: packDepthMajor(codesB, columns, depth) };
}

async function run(
  params: MatmulCodesParams,
  { a, b }: { a: Uint32Array; b: Uint32Array },
  words: number,
  scales = Float32Array.of(1),
  bias: Float32Array | null = null,
): Promise<ArrayBuffer> {
  const buffers = {
    a: uploadInJunk(shared.pool, a, 'a'),
    b: uploadInJunk(shared.pool, b, 'b'),
    scales: uploadInJunk(shared.pool, scales, 'scales'),
    bias: bias && uploadInJunk(shared.pool, bias, 'bias'),
  };
  try {
    return await runInto(shared.pool, words, async (y) => [
      await matmulCodes(shared.device, { ...buffers, y }, params),
    ]);
  } finally {
    for (const buffer of Object.values(buffers)) if (buffer) shared.pool.release(buffer);
  }
}

async function expectExact(shape: Case): Promise<void> {
  const params = { ...shapeOf(shape), outputType: 'i32' as const };
  const { images, heads, rows, columns, depth, aKind, aBits, shift, bBatchStride } = params;
  const data = operands(params, shape.seed);
  const product = { kind: aKind, bits: aBits, shift, batch: images * heads, rows, depth, columns, bBatchStride };
  const expected = matmulCodesReference(data.a, data.b, product);
  for (const lanes of [16, 32] as const) {
    const sums = new Int32Array(await run({ ...params, lanes }, data, expected.length));
    expectSame(sums, Int32Array.from(expected));
  }
}

test.each([1, 3, 4, 5, 255, 257])('depth %i: no tail is lost, none is invented', async (depth) => {
  await expectExact({ rows: 3, depth, columns: 5, seed: depth });
});

test.each([1, 3, 4, 5, 7, 8, 9, 255, 257])('%i rows and as many columns', async (n) => {
  await expectExact({ rows: n, depth: 6, columns: n, seed: n });
});

test.each([
  ['qkv', { images: 2, rows: 197, depth: 192, columns: 576, sharedB: true }],
  ['scores', { images: 2, heads: 3, rows: 197, depth: 64, columns: 197 }],
  ['values', { images: 1, heads: 3, rows: 197, depth: 197, columns: 64, aKind: 'twin-softmax', shift: 9 }],
  ['fc2', { images: 1, rows: 197, depth: 768, columns: 192, aKind: 'twin-gelu', shift: 7, sharedB: true }],
  ['head', { images: 3, rows: 1, depth: 192, columns: 1000, sharedB: true }],
] as [string, Case][])('the integers of %s at DeiT-Tiny are exact', async (_name, shape) => expectExact(shape));

test('accumulators up to 2^31 are exact', async () => {
  // 2^7 * 127 * 768 * 128 is 74 % of 2^31 and 2^9 * 127 * 197 * 128 is 76 %: the first row and column reach them.
  await expectExact({ rows: 2, depth: 768, columns: 2, aKind: 'twin-softmax', shift: 7 });
  await expectExact({ rows: 2, depth: 197, columns: 2, aKind: 'twin-gelu', shift: 9 });
});

test.each(['uniform', 'twin-softmax', 'twin-gelu'] as const)('%s codes of every width', async (aKind) => {
  for (const aBits of [2, 3, 6, 8]) {
    const shift = aKind === 'uniform' ? 0 : 5;
    await expectExact({ rows: 9, depth: 13, columns: 17, aKind, aBits, shift, seed: aBits });
  }
});

test('random shapes, kinds and shifts: integers equal the reference', async () => {
  const shapes = fc.record({
    images: fc.integer({ min: 1, max: 3 }),
    heads: fc.integer({ min: 1, max: 3 }),
    rows: fc.integer({ min: 1, max: 20 }),
    depth: fc.integer({ min: 1, max: 40 }),
    columns: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 60, max: 140 })),
    aKind: fc.constantFrom('uniform' as const, 'twin-softmax' as const, 'twin-gelu' as const),
    shift: fc.integer({ min: 0, max: 11 }),
    sharedB: fc.boolean(),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  await fc.assert(fc.asyncProperty(shapes, expectExact), { numRuns: 30, seed: 2 });
});

test('a scale per head and column, a bias, and an output inside a longer tensor', async () => {
  const [images, heads, rows, depth, columns] = [2, 3, 5, 9, 7];
  const output = { offset: 4, imageStride: rows * heads * 10, headStride: 10, rowStride: heads * 10 };
  const params = shapeOf({ images, heads, rows, depth, columns, scaleHeadStride: 8, scaleColumnStride: 1, output });
  const data = operands(params);
  const sums = matmulCodesReference(data.a, data.b, { kind: 'uniform', bits: 8, batch: 6, ...params });
  const scales = Float32Array.from({ length: 24 }, (_, i) => 0.001 * (i + 1));
  const bias = Float32Array.from({ length: columns }, (_, i) => i - 3.3);
  const words = output.offset + images * output.imageStride;
  const bytes = await run(params, data, words, scales, bias);
  const values = new Float32Array(bytes);
  const bits = new Uint32Array(bytes);
  const written = new Set<number>();
  sums.forEach((sum, i) => {
    const column = i % columns;
    const entry = Math.floor(i / (rows * columns));
    const head = entry % heads;
    const image = Math.floor(entry / heads);
    const at =
      output.offset + image * output.imageStride + head * 10 + (Math.floor(i / columns) % rows) * heads * 10 + column;
    written.add(at);
    const scale = scales[head * 8 + column] as number;
    const expected = sum * scale + (bias[column] as number);
    const bound = 2 ** -22 * (Math.abs(sum * scale) + Math.abs(bias[column] as number)); // product, sum and their spare
    expect(Math.abs((values[at] as number) - expected)).toBeLessThanOrEqual(bound);
  });
  bits.forEach((word, at) => {
    if (!written.has(at)) expect(word, `word ${at} lies outside the view`).toBe(0xa5c3f019);
  });
});

test('without rounding in the way, f32 outputs are exact', async () => {
  const params = shapeOf({ rows: 9, depth: 64, columns: 65 });
  const data = operands(params);
  const sums = matmulCodesReference(data.a, data.b, { kind: 'uniform', bits: 8, batch: 1, ...params });
  const y = new Float32Array(await run(params, data, sums.length, Float32Array.of(2 ** -8)));
  expectSame(
    y,
    Float32Array.from(sums, (sum) => sum / 256),
  ); // |sum| <= 2^20
});

test('refuses what it cannot do, with the number', async () => {
  const shape = { rows: 1, depth: 768, columns: 1 };
  const data = operands(shapeOf(shape));
  const overflow = shapeOf({ ...shape, aKind: 'twin-softmax', shift: 8 });
  await expect(run(overflow, data, 1)).rejects.toThrow('shift 8 at depth 768 can reach 3196059648');
  await expect(run(shapeOf({ ...shape, rows: 2 }), data, 1)).rejects.toThrow('a needs 1536 bytes');
  await expect(run(shapeOf({ ...shape, columns: 0 }), data, 1)).rejects.toThrow(
    'columns must be an integer of at least 1',
  );
});
