import { expect, test } from 'vitest';
import golden from '../golden/integer/layerNorm.json' with { type: 'json' };
import { layerNormConstants } from '../../src/kernels/layerNormConstants.ts';
import { patchCodes } from '../../src/model/patches.ts';
import { assembleTokensI16Reference } from '../../src/reference/assembleTokensI16.ts';
import { packDepthMajor, packRowMajor } from '../../src/reference/codes.ts';
import { intLayerNormReference } from '../../src/reference/intLayerNorm.ts';
import { matmulRequantizeReference } from '../../src/reference/matmulRequantize.ts';
import { patchCodesReference } from '../../src/reference/patchCodes.ts';
import { random, randomCodes } from '../support/codes.ts';

/** `x` in the range of `bits`-bit integers. */
function saturate(x: bigint, bits: number): number {
  const half = 2n ** BigInt(bits - 1);
  return Number(x < -half ? -half : x >= half ? half - 1n : x);
}

test.each(['uniform', 'twin-softmax', 'twin-gelu'] as const)(
  'products of %s codes are those of big integers',
  (aKind) => {
    const [rows, depth, columns, shift] = [5, 7, 6, 4];
    const next = random(2);
    const left = randomCodes(rows * depth, 8, next);
    const right = randomCodes(columns * depth, 8, next);
    const bias = Int32Array.of(-70_000, 70_000, 0, 1, -1, 12_345);
    const shape = { images: 1, heads: 1, rows, depth, columns, aKind, aBits: 8, shift };
    const value = (code: number) => {
      if (aKind === 'uniform') return BigInt(code);
      if (code < 0) return BigInt(code & 127) << BigInt(shift);
      return BigInt(aKind === 'twin-gelu' ? -code : code);
    };
    const expected = Int16Array.from({ length: rows * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      let sum = BigInt(bias[column] as number);
      for (let d = 0; d < depth; d++)
        sum += value(left[row * depth + d] as number) * BigInt(right[column * depth + d] as number);
      return saturate((sum * 1518500250n + 2n ** 34n) >> 35n, 16);
    });
    const y = new Uint32Array((rows * columns) / 2);
    const output = { offset: 0, imageStride: 0, headStride: 0, rowStride: columns / 2, columnStride: 1 };
    const words = {
      a: packRowMajor(left, rows, depth),
      b: packDepthMajor(right, columns, depth),
      bias,
      residual: null,
      y,
    };
    const rescale = Uint32Array.from({ length: 2 * columns }, (_, i) => (i % 2 === 0 ? 1518500250 : 35));
    matmulRequantizeReference({ ...words, rescale }, { ...shape, output: { type: 'int16', view: output } });
    expect(new Int16Array(y.buffer)).toEqual(expected);
  },
);

/** Largest distance of integer LayerNorm codes from the real numbers of PyTorch, where these are inside the range of codes. */
function normError(
  form: 'fixed' | 'published',
  gamma: readonly number[],
  real: readonly number[],
  yScale = golden.yScale,
) {
  const constants = layerNormConstants(form, { ...golden, gamma, yScale });
  const shape = { ...constants, features: golden.features };
  const codes = intLayerNormReference(Int16Array.from(golden.x), constants, shape);
  const clamped = real.map((y) => Math.min(Math.max((y * golden.yScale) / yScale, -128), 127));
  return codes.reduce((worst, code, i) => Math.max(worst, Math.abs(code - (clamped[i] as number))), 0);
}

test('the fixed LayerNorm is within 0.501 of a code of torch, outliers, constant rows and vanishing gammas included', () => {
  expect(normError('fixed', golden.gamma, golden.codes)).toBeLessThan(0.501);
  expect(normError('fixed', golden.gamma, golden.codes, 0.003)).toBeLessThan(0.501);
  expect(normError('fixed', golden.gamma, golden.codes, 1.7)).toBeLessThan(0.501);
});

test('the published LayerNorm is the forward pass of I-ViT, rounded', () => {
  expect(normError('published', golden.plainGamma, golden.published)).toBeLessThan(0.50001);
});

test('the published LayerNorm misses small deviations, the fixed one does not', () => {
  // Ten halvings of 2^16 reach 64: a row of one step's deviation is normalised by 64 instead of sqrt(48).
  const small = golden.codes.slice(2 * golden.features, 3 * golden.features);
  const found = golden.published.slice(2 * golden.features, 3 * golden.features);
  expect(Math.max(...small.map((y, i) => Math.abs(y - (found[i] as number))))).toBeGreaterThan(20);
});

test('tokens are the prefix, then saturated sums with the positions', () => {
  const y = assembleTokensI16Reference(Int16Array.of(1, 32767, -32768, 7), Int16Array.of(9, -9, 2, 1), 2);
  expect([...y]).toEqual([9, -9, 3, 32767, 9, -9, -32766, 8]);
});

test('patch codes are those of the float path, which are held to a convolution', () => {
  const [imageSize, patchSize] = [12, 3];
  const next = random(3);
  const images = [1, 2].map(() => Uint8Array.from({ length: 3 * imageSize ** 2 }, () => Math.floor(256 * next())));
  const shape = { images: 2, height: imageSize, width: imageSize, patchSize };
  const found = patchCodesReference(Uint8Array.from(images.flatMap((image) => [...image])), shape);
  const expected = images.flatMap((image) => [...patchCodes(image, { imageSize, patchSize })]);
  expect([...found]).toEqual(expected);
});
