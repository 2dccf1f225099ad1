import { expect, test } from 'vitest';
import { readF32 } from '../../src/gpu/readback.ts';
import { submit, type Grid } from '../../src/gpu/kernel.ts';
import { denseMatrix, foldTiles, matmulF32, transposed, type MatmulShape } from '../../src/kernels/matmulF32.ts';
import { matmulF32Reference } from '../../src/reference/matmulF32.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise, withJunk } from '../support/floats.ts';

const shared = useGpu();
const BOUND = 1e-12;

/** Runs the kernel on a result buffer full of sevens, junk after every input; the result, sevens included. */
async function run(
  a: Float32Array,
  b: Float32Array,
  bias: Float32Array | null,
  elements: number,
  shape: MatmulShape,
  grid?: Grid,
): Promise<Float32Array> {
  const { device, pool } = shared;
  const scope = pool.scope();
  const buffers = {
    a: scope.upload(withJunk(a), 'a'),
    b: scope.upload(withJunk(b), 'b'),
    bias: bias && scope.upload(withJunk(bias), 'bias'),
    c: scope.upload(new Float32Array(elements).fill(7), 'c'),
  };
  const dispatch = await matmulF32(device, buffers, shape);
  submit(device, [grid ? { ...dispatch, grid } : dispatch]);
  const c = await readF32(device, buffers.c, elements);
  scope.release();
  return c;
}

/** Compares with the twin everywhere, so a write outside the result shows. */
async function check(
  a: Float32Array,
  b: Float32Array,
  bias: Float32Array | null,
  elements: number,
  shape: MatmulShape,
): Promise<Float32Array> {
  const actual = await run(a, b, bias, elements, shape);
  const expected = new Float32Array(elements).fill(7);
  matmulF32Reference(a, b, bias, expected, shape);
  expect(nmse(actual, expected)).toBeLessThan(BOUND);
  expected.forEach((e, i) => {
    if (e === 7 && actual[i] !== 7) throw new Error(`element ${i} outside the result was written: ${actual[i]}`);
  });
  return actual;
}

const sizes = [1, 3, 4, 5, 255, 257];
const cases: [rows: number, columns: number, depth: number][] = [
  ...sizes.map((n): [number, number, number] => [n, 5, 7]),
  ...sizes.map((n): [number, number, number] => [5, n, 6]),
  ...sizes.map((n): [number, number, number] => [9, 67, n]),
  [197, 192, 192],
];

test.each(cases)('%i x %i, depth %i: linear layer with bias, both ways of reading A', async (rows, columns, depth) => {
  const a = noise(rows * depth, 1);
  const b = noise(depth * columns, 2);
  const bias = noise(columns, 3);
  const shape = {
    rows,
    columns,
    depth,
    heads: 1,
    images: 1,
    a: denseMatrix(rows, depth),
    b: transposed(denseMatrix(columns, depth)),
    c: denseMatrix(rows, columns),
  };
  const dense = await check(a, b, bias, rows * columns + 5, shape);
  // The same A moved by one element and with a gap after each row is not readable in fours, and gives the same bits.
  const gapped = new Float32Array(1 + rows * (depth + 1)).fill(1e6);
  for (let r = 0; r < rows; r++) gapped.set(a.subarray(r * depth, (r + 1) * depth), 1 + r * (depth + 1));
  const moved = { ...shape, a: { ...shape.a, offset: 1, rowStride: depth + 1 } };
  expect(await check(gapped, b, bias, rows * columns + 5, moved)).toEqual(dense);
});

test('reads q and k inside qkv, writes probabilities times v into the columns of each head', async () => {
  const [images, tokens, heads, headDim] = [2, 11, 3, 8];
  const width = heads * headDim;
  const qkv = noise(images * tokens * 3 * width, 4);
  const view = (offset: number) => ({
    offset,
    outerStride: tokens * 3 * width,
    innerStride: headDim,
    rowStride: 3 * width,
    columnStride: 1,
  });
  const square = denseMatrix(tokens, tokens, heads);
  await check(qkv, qkv, null, images * heads * tokens * tokens, {
    rows: tokens,
    columns: tokens,
    depth: headDim,
    heads,
    images,
    a: view(0),
    b: transposed(view(width)),
    c: square,
  });
  const probs = noise(images * heads * tokens * tokens, 5);
  await check(probs, qkv, null, images * tokens * width, {
    rows: tokens,
    columns: headDim,
    depth: tokens,
    heads,
    images,
    a: square,
    b: view(2 * width),
    c: {
      offset: 0,
      outerStride: tokens * width,
      innerStride: headDim,
      rowStride: width,
      columnStride: 1,
    },
  });
});

test.each([10, 16])('a batch of %i rows gives the bits that each image alone gives', async (rows) => {
  const [images, columns, depth] = [3, 33, 12];
  const a = noise(images * rows * depth, 6);
  const b = noise(depth * columns, 7);
  const shape = {
    rows,
    columns,
    depth,
    heads: 1,
    images,
    a: denseMatrix(rows, depth),
    b: { ...denseMatrix(depth, columns), outerStride: 0 },
    c: denseMatrix(rows, columns),
  };
  const batch = await check(a, b, null, images * rows * columns, shape);
  for (let i = 0; i < images; i++) {
    const part = a.slice(i * rows * depth, (i + 1) * rows * depth);
    const alone = await run(part, b, null, rows * columns, { ...shape, images: 1 });
    expect(alone).toEqual(batch.slice(i * rows * columns, (i + 1) * rows * columns));
  }
  const tiles = images * Math.ceil(rows / 8);
  for (const grid of [
    [tiles, 1, 1],
    [2, 1, 3],
    [1, 3, 2],
    [2, 2, 2],
  ] as const) {
    expect(await run(a, b, null, images * rows * columns, shape, grid), `grid ${grid.join(' x ')}`).toEqual(batch);
  }
});

test('more batches than a grid dimension holds', async () => {
  const images = 65_537;
  const shape = {
    rows: 1,
    columns: 1,
    depth: 2,
    heads: 1,
    images,
    a: denseMatrix(1, 2),
    b: { ...denseMatrix(2, 1), outerStride: 0 },
    c: denseMatrix(1, 1),
  };
  await check(noise(2 * images, 8), noise(2, 9), null, images, shape);
});

test.each([1, 10, 11, 99, 101, 999])('%i tiles on a device of 10 workgroups a dimension', (tiles) => {
  const [x, y, z] = foldTiles(tiles, 10);
  expect(Math.max(x, y, z)).toBeLessThanOrEqual(10);
  expect(x * y * z).toBeGreaterThanOrEqual(tiles);
});

test('refuses an empty dimension and a result with gaps between columns', async () => {
  const one = denseMatrix(1, 1);
  const shape = { rows: 1, columns: 1, depth: 0, heads: 1, images: 1, a: one, b: one, c: one };
  const value = Float32Array.of(1);
  await expect(run(value, value, null, 1, shape)).rejects.toThrow('depth must be a positive integer, got 0');
  const gaps = { ...shape, depth: 1, c: { ...one, columnStride: 2 } };
  await expect(run(value, value, null, 1, gaps)).rejects.toThrow(
    'columns of the result must be contiguous, got stride 2',
  );
});
