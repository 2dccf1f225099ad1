import { expect, test } from 'vitest';
import { canShareRows, denseMatrix, matmulF32, transposed, type MatmulShape } from '../../src/kernels/matmulF32.ts';
import { matmulF32SubgroupsReference } from '../../src/reference/matmulF32Subgroups.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

/** The result of both kernels: equal bits, and near the twin. */
async function expectSameBits(shape: MatmulShape, withBias: boolean): Promise<void> {
  const { images, heads, rows, columns, depth, a } = shape;
  const inputs = {
    a: noise(a.offset + images * heads * rows * a.rowStride, 1),
    b: noise(images * heads * columns * depth, 2),
    bias: noise(columns, 3),
  };
  const elements = images * heads * rows * columns;
  const run = (kind: 'plain' | 'subgroups') =>
    runF32(shared, inputs, elements, (buffers, c) =>
      matmulF32(shared.device, { ...buffers, bias: withBias ? buffers.bias : null, c }, shape, kind),
    );
  const got = await run('subgroups');
  expect(got).toEqual(await run('plain'));
  const expected = new Float32Array(elements);
  matmulF32SubgroupsReference(inputs.a, inputs.b, withBias ? inputs.bias : null, expected, shape);
  expect(nmse(got, expected)).toBeLessThan(1e-12);
}

const sizes = [1, 3, 4, 5, 8, 9, 63, 64, 65, 255, 257];
test.each([
  ...sizes.map((n) => [n, 5, 7] as const),
  ...sizes.map((n) => [5, n, 6] as const),
  ...sizes.map((n) => [9, 67, n] as const),
  [197, 192, 192] as const,
  [197, 64, 197] as const,
])('%i x %i, depth %i: the bits of matmul_f32', async (rows, columns, depth) => {
  // Rows of A that are not whole words lie apart, so that they are readable in fours.
  const rowStride = 4 * Math.ceil(depth / 4);
  for (const [images, heads] of [
    [1, 1],
    [2, 3],
  ] as const) {
    const shape = {
      rows,
      columns,
      depth,
      heads,
      images,
      a: {
        offset: 4,
        outerStride: heads * rows * rowStride,
        innerStride: rows * rowStride,
        rowStride,
        columnStride: 1,
      },
      b: transposed(denseMatrix(columns, depth, heads)),
      c: denseMatrix(rows, columns, heads),
    };
    await expectSameBits(shape, images === 1);
  }
});

test('is refused where A is not readable in fours, or subgroups are too small', async () => {
  const a = { ...denseMatrix(8, 8), offset: 1 };
  expect(canShareRows(shared.device, { a: denseMatrix(8, 8) })).toBe(true);
  expect(canShareRows(shared.device, { a })).toBe(false);
  const small = { features: new Set(['subgroups']), adapterInfo: { subgroupMinSize: 2 } } as unknown as GPUDevice;
  expect(canShareRows(small, { a: denseMatrix(8, 8) })).toBe(false);
  const shape = { rows: 8, columns: 8, depth: 8, heads: 1, images: 1, a, b: a, c: denseMatrix(8, 8) };
  const buffer = shared.pool.acquire(4 * 80, 'operand');
  const buffers = { a: buffer, b: buffer, bias: null, c: buffer };
  await expect(matmulF32(shared.device, buffers, shape, 'subgroups')).rejects.toThrow('readable in fours');
  shared.pool.release(buffer);
});
