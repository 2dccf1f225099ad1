import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dyadic, packDyadics } from '../../src/kernels/dyadic.ts';
import type { MatmulRequantizeParams } from '../../src/kernels/matmulRequantize.ts';
import { denseOutput, outputExtent } from '../../src/kernels/requantizedLayout.ts';
import { packDepthMajor, packRowMajor } from '../../src/reference/codes.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { matmulRequantizeReference } from '../../src/reference/matmulRequantize.ts';
import { expectSame } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import {
  JUNK,
  requantizeCase,
  REQUANTIZED_LAYOUTS,
  runRequantize,
  type Operands,
  type RequantizeCase,
} from '../support/requantizeCase.ts';

const shared = useGpu();

/** Every word equal to the twin's, those outside the view untouched. */
async function expectTwin(params: MatmulRequantizeParams, data: Operands, words = outputExtent(params.output, params)) {
  const y = new Uint32Array(words).fill(JUNK);
  matmulRequantizeReference({ ...data, y }, params);
  for (const lanes of [16, 32] as const) {
    const variant = { style: 'plain', lanes } as const;
    expectSame(await runRequantize(shared, { ...params, variant }, data, words), y);
  }
  return y;
}

async function expectExact(shape: RequantizeCase): Promise<void> {
  const { params, data } = requantizeCase(shape);
  await expectTwin(params, data);
}

test.each(REQUANTIZED_LAYOUTS)('%s: every size of tail', async (layout) => {
  for (const n of [1, 3, 4, 5, 8, 9, 67]) {
    await expectExact({ layout, rows: n, depth: 6, columns: n, seed: n, withResidual: layout === 'int16' });
    await expectExact({ layout, rows: 5, depth: n, columns: 7, seed: n });
  }
  await expectExact({ layout, rows: 255, depth: 3, columns: 257, heads: 2, images: 2 });
});

test.each([
  ['qkv', { layout: 'int16', images: 2, rows: 197, depth: 192, columns: 576 }],
  ['scores', { layout: 'int16', heads: 3, rows: 197, depth: 64, columns: 197, perHead: true, withBias: false }],
  ['values', { layout: 'left', heads: 3, rows: 197, depth: 197, columns: 64, aKind: 'twin-softmax', shift: 9 }],
  ['fc2', { layout: 'int16', rows: 197, depth: 768, columns: 192, aKind: 'twin-gelu', shift: 6, withResidual: true }],
  ['head', { layout: 'int32', rows: 3, depth: 192, columns: 1000 }],
] as [string, RequantizeCase][])('%s at DeiT-Tiny', async (_name, shape) => expectExact(shape));

const deep = { largestSum: 2 ** 31 - 1 }; // random operands stay far below the worst case

test.each([
  ['values', { layout: 'left', images: 2, heads: 3, rows: 197, depth: 197, columns: 64, aKind: 'twin-softmax' }],
  ['fc2', { layout: 'int16', rows: 197, depth: 768, columns: 192, aKind: 'twin-gelu', withResidual: true }],
] as [string, RequantizeCase][])('%s of two planes: B is read again for the second', async (_name, shape) => {
  const real = requantizeCase({ ...shape, planes: 2, shift: 7 });
  await expectTwin({ ...real.params, ...deep }, real.data);
  // the sums are those of the integers that both planes stand for
  const { params, data } = requantizeCase({
    layout: 'int32',
    rows: 2,
    depth: 5,
    planes: 2,
    columns: 3,
    withBias: false,
  });
  const planes = { ...params, aKind: shape.aKind ?? 'uniform', shift: 7 };
  const levels = shape.aKind === 'twin-gelu' ? [-127, 1, 130, 16256, 0] : [127, 1, 130, 16256, 0];
  const bytes =
    shape.aKind === 'twin-gelu' ? [0, 129, 130, 255, 0, 127, 127, 126, 0, 0] : [0, 0, 129, 255, 0, 127, 1, 2, 0, 0];
  const b = [1, 2, 3, 4, 5, -1, -2, -3, -4, -5, 127, 0, -128, 1, 9];
  const y = await expectTwin(planes, {
    ...data,
    a: packRowMajor([...bytes, ...bytes], 4, 5),
    b: packDepthMajor(b, 3, 5),
  });
  const sums = [0, 1, 2].map((c) => levels.reduce((sum, level, d) => sum + level * (b[5 * c + d] as number), 0));
  expect([...new Int32Array(y.buffer)]).toEqual([...sums, ...sums]);
});

test('random shapes, kinds, layouts and rescales', async () => {
  const size = (max: number) => fc.integer({ min: 1, max });
  const shapes = fc.record({
    layout: fc.constantFrom(...REQUANTIZED_LAYOUTS),
    images: size(3),
    heads: size(3),
    rows: size(20),
    depth: size(40),
    planes: fc.constantFrom(1 as const, 2 as const),
    columns: fc.oneof(size(20), fc.integer({ min: 60, max: 140 })),
    aKind: fc.constantFrom('uniform' as const, 'twin-softmax' as const, 'twin-gelu' as const),
    shift: fc.integer({ min: 0, max: 9 }),
    perHead: fc.boolean(),
    withBias: fc.boolean(),
    withResidual: fc.boolean(),
    seed: size(1e6),
  });
  const check = (shape: RequantizeCase & { layout: string }) =>
    expectExact({ ...shape, withResidual: shape.layout === 'int16' && shape.withResidual === true });
  await fc.assert(fc.asyncProperty(shapes, check), { numRuns: 30, seed: 2 });
});

test('q, k and v of one weight go into operands of their own by head', async () => {
  const [images, tokens, heads, headDim] = [2, 13, 3, 8];
  const dim = heads * headDim;
  const whole = requantizeCase({ layout: 'int32', images, rows: tokens, depth: dim, columns: 3 * dim });
  const words = dim / 4;
  const data = { ...whole.data, b: whole.data.b.subarray(0, words * 3 * dim) }; // one weight for all images
  const all = new Int32Array(images * tokens * 3 * dim);
  const wholeParams = { ...whole.params, b: { offset: 0, imageStride: 0, headStride: 0, rowStride: 3 * dim } };
  matmulRequantizeReference({ ...data, y: new Uint32Array(all.buffer) }, wholeParams);
  const rescale = packDyadics(Array.from({ length: 3 * heads }, (_, i) => dyadic(0.0004 * (i + 1), 8)));
  for (const [part, layout] of (['left', 'right-transposed', 'right'] as const).entries()) {
    const params: MatmulRequantizeParams = {
      ...wholeParams,
      heads,
      columns: headDim,
      a: { offset: 0, imageStride: tokens * words, headStride: 0, rowStride: words },
      b: { offset: part * dim, imageStride: 0, headStride: headDim, rowStride: 3 * dim },
      bias: { offset: part * dim, headStride: headDim },
      rescale: { offset: part * heads, headStride: 1, columnStride: 0 },
      output: denseOutput(layout, { heads, rows: tokens, columns: headDim }),
      qmin: -100,
      qmax: 90,
    };
    const codes: number[] = [];
    for (let i = 0; i < images * heads * tokens * headDim; i++) {
      const [d, token] = [i % headDim, Math.floor(i / headDim) % tokens];
      const head = Math.floor(i / headDim / tokens) % heads;
      const image = Math.floor(i / headDim / tokens / heads);
      const sum = all[(image * tokens + token) * 3 * dim + part * dim + head * headDim + d] as number;
      const at = 2 * (part * heads + head);
      const [multiplier, shift] = [rescale[at] as number, rescale[at + 1] as number];
      codes.push(Math.min(Math.max(Math.floor((sum * multiplier) / 2 ** shift + 0.5), -100), 90));
    }
    const transposed = codes.map((_, i) => {
      const [token, d] = [i % tokens, Math.floor(i / tokens) % headDim];
      return codes[Math.floor(i / tokens / headDim) * tokens * headDim + token * headDim + d] as number;
    });
    const expected =
      layout === 'left'
        ? packRowMajor(codes, tokens, headDim)
        : layout === 'right'
          ? packDepthMajor(transposed, headDim, tokens)
          : packDepthMajor(codes, tokens, headDim);
    expectSame(await expectTwin(params, { ...data, rescale }), expected);
  }
});

test('heads are merged into the rows of the next left operand, inside a longer tensor', async () => {
  const { params, data } = requantizeCase({ layout: 'left', images: 2, heads: 3, rows: 5, depth: 9, columns: 8 });
  const view = { offset: 3, imageStride: 5 * 7 + 4, headStride: 2, rowStride: 7, columnStride: 1 };
  const y = await expectTwin({ ...params, output: { type: 'codes', view } }, data, 90);
  expect(y.filter((word) => word === JUNK).length).toBe(90 - 2 * 5 * 6);
});

test('a residual saturates instead of wrapping, and ties go toward +infinity', async () => {
  const { params, data } = requantizeCase({ layout: 'int16', rows: 4, depth: 1, columns: 4, withResidual: true });
  const sums = {
    ...data,
    a: packRowMajor(new Int8Array(4), 4, 1),
    rescale: packDyadics(Array(4).fill(dyadic(0.5, 'int16'))),
  };
  const bias = Int32Array.of(65_535, -65_537, 2 ** 31 - 1, -3);
  const residual = packInt16(
    Int16Array.from({ length: 20 }, (_, i) => (i < 4 ? 99 : i < 12 ? 32767 : -32768)),
    4,
  );
  const y = await expectTwin({ ...params, residual: { ...dyadic(1, 'term'), offset: 2 } }, { ...sums, bias, residual });
  expect([...new Int16Array(y.buffer).subarray(0, 4)]).toEqual([32767, -1, 32767, 32766]);
  expect([...new Int16Array(y.buffer).subarray(8, 12)]).toEqual([0, -32768, 32767, -32768]);
});

test('refuses what it cannot do, with the number', async () => {
  const { params, data } = requantizeCase({ layout: 'left', rows: 1, depth: 768, columns: 1 });
  const overflow = { ...params, aKind: 'twin-softmax', shift: 8 } as const;
  await expect(runRequantize(shared, overflow, data, 1)).rejects.toThrow('shift 8 at depth 768 can reach 3196059648');
  await expect(runRequantize(shared, { ...params, largestSum: 2 ** 31 }, data, 1)).rejects.toThrow(
    'can reach 2147483648',
  );
  await expect(runRequantize(shared, { ...params, rows: 2 }, data, 2)).rejects.toThrow('a needs 1536 bytes');
  await expect(runRequantize(shared, { ...params, planes: 2 }, data, 1)).rejects.toThrow('a needs 1536 bytes');
  const two = { ...params, planes: 2, aKind: 'twin-gelu', shift: 7 } as const;
  await expect(runRequantize(shared, two, data, 1)).rejects.toThrow('shift 7 at depth 768 can reach 3196059648');
  await expect(runRequantize(shared, { ...params, qmax: 128 }, data, 1)).rejects.toThrow('qmax 128');
  await expect(runRequantize(shared, params, { ...data, rescale: null }, 1)).rejects.toThrow(
    'an output of codes needs a rescale',
  );
  await expect(runRequantize(shared, params, { ...data, residual: data.a }, 1)).rejects.toThrow(
    'a residual is a buffer with its rescale',
  );
  const { view } = params.output;
  await expect(
    runRequantize(shared, { ...params, output: { type: 'codes', view: { ...view, offset: 99 } } }, data, 1),
  ).rejects.toThrow('y needs 400 bytes');
});
