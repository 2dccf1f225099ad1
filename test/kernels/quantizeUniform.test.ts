import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quantizeUniform, type QuantizeUniformParams } from '../../src/kernels/quantizeUniform.ts';
import { quantizeUniformReference } from '../../src/reference/quantizeUniform.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

async function run(source: Float32Array, inverse: Float32Array, params: QuantizeUniformParams): Promise<Uint32Array> {
  const scope = shared.pool.scope();
  const { candidates, images, heads, rows, depth, repeat = params.zero === undefined ? 1 : 2 } = params;
  const sourceBuffer = scope.upload(source, 'source');
  const inverseScales = uploadInJunk(shared.pool, inverse, 'inverse scales');
  const words = repeat * candidates * images * heads * rows * Math.ceil(depth / 4);
  const bytes = await runInto(shared.pool, words, async (codes) => [
    await quantizeUniform(shared.device, { source: sourceBuffer, inverseScales, codes }, params),
  ]);
  scope.release();
  shared.pool.release(inverseScales);
  return new Uint32Array(bytes);
}

/** A plain matrix: one candidate, image and head. */
function matrix(rows: number, depth: number, bits = 8): QuantizeUniformParams {
  return {
    bits,
    layout: 'row-major',
    candidates: 1,
    images: 1,
    heads: 1,
    rows,
    depth,
    offset: 0,
    imageStride: 0,
    headStride: 0,
    rowStride: depth,
    depthStride: 1,
    groupsPerCandidate: 1,
    groupPerHead: 0,
    rowsPerGroup: 0,
  };
}

/** Values of deviation 5 with 215 planted among them, as in a real ViT. */
function activations(count: number, seed: number): Float32Array {
  const next = random(seed);
  const values = Float32Array.from({ length: count }, () => 5 * (next() + next() + next() + next() - 2));
  for (let i = 11; i < count; i += 401) values[i] = i % 2 ? 215 : -215;
  return values;
}

const bytes = (words: Uint32Array) => [...new Int8Array(words.buffer)];

test('rounds half to even and saturates at both ends', async () => {
  const x = Float32Array.of(
    0.5,
    1.5,
    2.5,
    -0.5,
    -1.5,
    -2.5,
    126.5,
    127.5,
    1e9,
    -127.5,
    -128.5,
    -1e9,
    0,
    -0,
    0.49999997,
  );
  const expected = [0, 2, 2, 0, -2, -2, 126, 127, 127, -128, -128, -128, 0, 0, 0, 0];
  expect(bytes(await run(x, Float32Array.of(1), matrix(1, x.length)))).toEqual(expected);
});

test('the codes of every image and head can be written twice', async () => {
  const view = { images: 2, heads: 3, imageStride: 3 * 5 * 7, headStride: 5 * 7 };
  const once = { ...matrix(5, 7), ...view, layout: 'depth-major', candidates: 2 } as const;
  const x = activations(2 * 3 * 5 * 7, 8);
  const inverse = Float32Array.of(1, 0.25);
  const single = await run(x, inverse, once);
  const size = 2 * 5;
  const twice = Array.from({ length: 2 * single.length }, (_, i) => {
    const [entry, inside] = [Math.floor(i / (2 * size)), i % size];
    return single[entry * size + inside] as number;
  });
  expectSame(await run(x, inverse, { ...once, repeat: 2 }), Uint32Array.from(twice));
});

test('two bits hold -2, -1, 0 and 1', async () => {
  const x = Float32Array.of(-3, -1.5, -1, -0.5, 0.5, 0.51, 1.5, 3);
  expect(bytes(await run(x, Float32Array.of(1), matrix(1, 8, 2)))).toEqual([-2, -2, -1, 0, 0, 1, 1, 1]);
});

test.each([1, 3, 4, 5, 255, 257])('depth %i in both layouts: no tail is lost, none is invented', async (depth) => {
  const source = activations(3 * depth, depth);
  source[0] = 215;
  for (const layout of ['row-major', 'depth-major'] as const) {
    const params = { ...matrix(3, depth), layout };
    const inverse = Float32Array.of(127.5 / 215);
    expectSame(await run(source, inverse, params), quantizeUniformReference(source, inverse, params));
  }
});

test('q and k of a fused qkv tensor: heads apart, several candidates, an offset, a transposed view', async () => {
  const [images, heads, tokens, headDim] = [2, 3, 197, 64];
  const source = activations(images * tokens * 3 * heads * headDim, 4);
  const base = {
    bits: 8,
    candidates: 3,
    images,
    heads,
    imageStride: tokens * 3 * heads * headDim,
    headStride: headDim,
    groupPerHead: 1,
  } as const;
  const inverse = Float32Array.from({ length: 3 * 4 }, (_, i) => 5 + i);
  const query: QuantizeUniformParams = {
    ...base,
    layout: 'row-major',
    rows: tokens,
    depth: headDim,
    offset: 0,
    rowStride: 3 * heads * headDim,
    depthStride: 1,
    groupsPerCandidate: 4, // one unused
    rowsPerGroup: 0,
  };
  const value: QuantizeUniformParams = {
    ...query,
    layout: 'depth-major',
    rows: headDim,
    depth: tokens,
    offset: 2 * heads * headDim,
    rowStride: 1,
    depthStride: 3 * heads * headDim,
  };
  for (const params of [query, value]) {
    expectSame(await run(source, inverse, params), quantizeUniformReference(source, inverse, params));
  }
});

test.each([
  ['per channel', 1, 576],
  ['q, k, v apart', 192, 3],
  ['an uneven last group', 250, 3],
])('a weight of 576 x 192, %s, 4 candidates', async (_what, rowsPerGroup, groupsPerCandidate) => {
  const weight = activations(576 * 192, 9);
  const inverse = Float32Array.from({ length: 4 * groupsPerCandidate }, (_, i) => 3 + (i % 17));
  const params: QuantizeUniformParams = {
    ...matrix(576, 192, 6),
    layout: 'depth-major',
    candidates: 4,
    groupsPerCandidate,
    rowsPerGroup,
  };
  expectSame(await run(weight, inverse, params), quantizeUniformReference(weight, inverse, params));
});

test('groups of rows and heads together', async () => {
  const params: QuantizeUniformParams = {
    ...matrix(5, 7),
    images: 2,
    heads: 2,
    imageStride: 70,
    headStride: 35,
    groupsPerCandidate: 6,
    groupPerHead: 1,
    rowsPerGroup: 2,
  };
  const source = activations(140, 3);
  const inverse = Float32Array.of(1, 2, 4, 8, 16, 32);
  expectSame(await run(source, inverse, params), quantizeUniformReference(source, inverse, params));
});

test('equals the reference bit for bit at every width', async () => {
  // Random floats never land on a tie, so most values are odd multiples of half a step of a power-of-two scale.
  const tie = fc.integer({ min: -300, max: 300 }).map((k) => (k + 0.5) / 8);
  const edge = fc.constantFrom(0, -0, 215, -215, 15.9375, -16, 15.875, -16.0625);
  const any = fc.float({ min: -40, max: 40, noNaN: true });
  const values = fc.array(fc.oneof(tie, edge, any), { minLength: 1, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(values, fc.integer({ min: 2, max: 8 }), fc.constantFrom(8, 7.3, 0.61), async (x, bits, scale) => {
      const source = Float32Array.from(x);
      const inverse = Float32Array.of(scale);
      const params = matrix(1, x.length, bits);
      expectSame(await run(source, inverse, params), quantizeUniformReference(source, inverse, params));
    }),
    { numRuns: 60, seed: 1 },
  );
});

test('the restricted range has no code -q, at any width', async () => {
  const x = Float32Array.of(-1e9, -128.4, -127.4, -2.5, -1.4, 1.4, 127.4, 1e9);
  for (const bits of [2, 4, 8]) {
    const q = 2 ** (bits - 1);
    const params = { ...matrix(1, x.length, bits), restricted: true };
    const codes = bytes(await run(x, Float32Array.of(1), params));
    expect([Math.min(...codes), Math.max(...codes)]).toEqual([1 - q, q - 1]);
    expectSame(new Uint32Array(Int8Array.from(codes).buffer), quantizeUniformReference(x, Float32Array.of(1), params));
  }
});

test.each([1, 3, 4, 5, 255, 257])('a zero point moves every code and follows each row, depth %i', async (depth) => {
  const source = activations(2 * 3 * depth, depth);
  for (const zero of [-7, 0, 5]) {
    const params = { ...matrix(3, depth, 4), images: 2, imageStride: 3 * depth, zero, candidates: 2 };
    const inverse = Float32Array.of(0.7, 2);
    expectSame(await run(source, inverse, params), quantizeUniformReference(source, inverse, params));
  }
});

test('codes with a zero point, spelled out', async () => {
  const x = Float32Array.of(-3.5, -2.5, 0, 4.5, 12);
  const expected = [-8, -7, -5, -1, 7, 0, 0, 0, 5, 5, 5, 5, 5, 0, 0, 0];
  expect(bytes(await run(x, Float32Array.of(1), { ...matrix(1, 5, 4), zero: -5 }))).toEqual(expected);
});

test('more matrices than a grid has layers', async () => {
  const images = 70_000;
  const params: QuantizeUniformParams = { ...matrix(1, 3), images, imageStride: 3, candidates: 2 };
  const source = activations(3 * images, 5);
  const inverse = Float32Array.of(3, 7);
  expectSame(await run(source, inverse, params), quantizeUniformReference(source, inverse, params));
});

test('folds a grid that x alone cannot hold', async () => {
  const rows = 65535 * 64 + 1;
  const source = Float32Array.from({ length: rows }, (_, i) => (i % 251) - 125);
  const words = await run(source, Float32Array.of(1), matrix(rows, 1));
  const wrong = words.findIndex((word, i) => word !== (((i % 251) - 125) & 0xff));
  expect(wrong).toBe(-1);
});

test('refuses what it cannot do, with the number', async () => {
  const x = Float32Array.of(1, 2, 3, 4);
  const one = Float32Array.of(1);
  await expect(run(x, one, matrix(1, 4, 9))).rejects.toThrow('bits must be an integer in 2..8, got 9');
  await expect(run(x, one, { ...matrix(1, 4), rows: 0 })).rejects.toThrow(
    'rows must be an integer of at least 1, got 0',
  );
  await expect(run(x, one, { ...matrix(1, 4), zero: -128 })).rejects.toThrow('-127..127 of row-major codes, got -128');
  await expect(run(x, one, { ...matrix(1, 4), layout: 'depth-major', zero: 3 })).rejects.toThrow('got 3');
  await expect(run(x, one, { ...matrix(1, 4), offset: 2 })).rejects.toThrow('source needs 24 bytes, its buffer has 16');
  await expect(run(x, one, { ...matrix(4, 1), rowsPerGroup: 1 })).rejects.toThrow(
    'at least the 4 groups in use, got 1',
  );
});
