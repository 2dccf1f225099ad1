import { describe, expect, test } from 'vitest';
import { gramMatrices, type GramOptions } from '../../src/calibrate/compensation/gram.ts';
import { tokenWeights } from '../../src/calibrate/compensation/tokenWeights.ts';
import type { CapturedChunk } from '../../src/calibrate/layerScorer.ts';
import type { ProductGeometry } from '../../src/quantize/geometry.ts';
import {
  steps,
  type ActivationQuantizer,
  type LevelsQuantizer,
  type UniformQuantizer,
} from '../../src/quantize/quantizer.ts';
import { decodeCode } from '../../src/reference/codes.ts';
import { quantizeTwinGeluReference } from '../../src/reference/quantizeTwinGelu.ts';
import { uniformCode } from '../../src/reference/quantizeUniform.ts';
import { packRows } from '../../src/kernels/pack.ts';
import { uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';

const shared = useGpu();
const COLUMNS = 7;

const UNIFORM: UniformQuantizer = { type: 'uniform', bits: 5, granularity: 'tensor', scales: [Math.fround(0.07)] };
const OFFSET: ActivationQuantizer = { ...UNIFORM, restricted: true, zeroPoint: -9 };
const GELU: ActivationQuantizer = { type: 'twin-gelu', bits: 6, scaleR2: Math.fround(0.03), shift: 2 };
const LEVELS: LevelsQuantizer = {
  type: 'levels',
  operand: 'gelu',
  family: 'log2',
  bits: 4,
  step: Math.fround(0.002),
  levels: [-80, -40, -10, 0, 5, 40, 80, 300, 500],
};

function geometryOf(rows: number, depth: number): ProductGeometry {
  const view = (tensor: string, columns: number) => ({
    tensor,
    offset: 0,
    imageStride: rows * columns,
    headStride: 0,
    rowStride: columns,
    columnStride: 1,
  });
  const output = view('output', COLUMNS);
  return { windows: 1, heads: 1, rows, depth, columns: COLUMNS, a: view('input', depth), b: undefined, output };
}

/** What codes of `a` stand for, in double. */
function dequantized(x: number, a: ActivationQuantizer): number {
  switch (a.type) {
    case 'uniform': {
      const zero = a.zeroPoint ?? 0;
      const code = uniformCode(x, Math.fround(1 / a.scales[0]!), a.bits, { restricted: a.restricted ?? false, zero });
      return (code - zero) * a.scales[0]!;
    }
    case 'twin-gelu': {
      const [r1] = steps(a) as [number];
      const inverse = { inverseR1: Math.fround(1 / r1), inverseR2: Math.fround(1 / a.scaleR2) };
      const [code] = quantizeTwinGeluReference(Float32Array.of(x), { bits: a.bits, ...inverse });
      return r1 * decodeCode(code!, { kind: 'twin-gelu', bits: a.bits, shift: a.shift });
    }
    case 'levels':
      return a.step * a.levels.reduce((best, level) => (gap(x, level) < gap(x, best) ? level : best));
    default:
      return x;
  }
}
const gap = (x: number, level: number) => Math.abs(x - level * LEVELS.step);

/** Inputs of all images on the device, cut into chunks. */
function chunksOf(inputs: Float32Array, gradient: Float32Array, cut: readonly number[], rows: number, depth: number) {
  let first = 0;
  const { pool } = shared;
  return cut.map<CapturedChunk>((images) => {
    const part = (values: Float32Array, width: number) =>
      uploadInJunk(pool, values.slice(first * rows * width, (first + images) * rows * width), 'captured');
    const chunk = { images, a: part(inputs, depth), b: undefined, gradient: part(gradient, COLUMNS) };
    first += images;
    return { ...chunk, output: chunk.gradient };
  });
}

async function grams(
  rows: number,
  depth: number,
  cut: readonly number[],
  a: ActivationQuantizer,
  options: GramOptions,
) {
  const images = cut.reduce((sum, count) => sum + count, 0);
  const inputs = noise(images * rows * depth, 3 * depth + rows, 0.9).map((x) => (a.type === 'uniform' ? x : x + 0.4));
  const gradient = noise(images * rows * COLUMNS, 5);
  const chunks = chunksOf(inputs, gradient, cut, rows, depth);
  const made = await gramMatrices(shared, { geometry: geometryOf(rows, depth), chunks }, a, options);
  for (const chunk of chunks) [chunk.a, chunk.gradient].forEach((buffer) => shared.pool.release(buffer));
  return { made, inputs, images };
}

/** `left^T diag(weights) right` in double, and the bound of what f32 sums over the rows of an image may lose. */
function product(
  left: Float64Array,
  right: ArrayLike<number>,
  weights: ArrayLike<number>,
  rows: number,
  depth: number,
) {
  const sum = new Float64Array(depth * depth);
  const size = new Float64Array(depth * depth);
  for (let row = 0; row < weights.length; row++) {
    for (let i = 0; i < depth; i++) {
      for (let j = 0; j < depth; j++) {
        const term = weights[row]! * left[row * depth + i]! * right[row * depth + j]!;
        sum[i * depth + j]! += term;
        size[i * depth + j]! += Math.abs(term);
      }
    }
  }
  return { sum, bound: size.map((total) => (rows + 4) * 2 ** -23 * total + 1e-30) };
}

/** Columns less their weighted means. */
function centre(values: Float64Array, weights: ArrayLike<number>, columns: number): Float64Array {
  const means = new Float64Array(columns);
  const total = Array.from(weights).reduce((sum, weight) => sum + weight, 0);
  values.forEach((value, i) => (means[i % columns]! += (weights[Math.floor(i / columns)]! * value) / total));
  return values.map((value, i) => value - means[i % columns]!);
}

describe('Gram matrices', () => {
  test.each([
    [1, 1, UNIFORM],
    [3, 3, GELU],
    [4, 4, LEVELS],
    [7, 5, UNIFORM],
    [5, 5, LEVELS],
    [197, 24, GELU],
    [6, 257, UNIFORM],
    [9, 300, GELU],
    [6, 9, OFFSET],
  ])('of %i rows and %i columns are those in double', async (rows, depth, a) => {
    const cut = [2, 1];
    const rowWeights = noise(3 * rows, 9).map((x) => 1 + x);
    for (const weights of [undefined, rowWeights]) {
      const { made, inputs } = await grams(rows, depth, cut, a, { rowWeights: weights, cross: true });
      const coarse = Float64Array.from(inputs, (x) => dequantized(x, a));
      const counted = weights ?? new Float32Array(3 * rows).fill(1);
      for (const [actual, right] of [
        [made.quantized, coarse],
        [made.cross!, inputs],
      ] as const) {
        const { sum, bound } = product(coarse, right, counted, rows, depth);
        const beyond = actual.findIndex((value, i) => !(Math.abs(value - sum[i]!) <= bound[i]!));
        expect(beyond, `element ${beyond}: ${actual[beyond]} for ${sum[beyond]}`).toBe(-1);
      }
    }
  });

  test('are the same bytes however images are cut', async () => {
    const rowWeights = noise(5 * 9, 9).map((x) => 1 + x);
    const all = await Promise.all(
      [[5], [1, 4], [2, 2, 1], [1, 1, 1, 1, 1]].map(async (cut) => {
        return (await grams(9, 65, cut, GELU, { rowWeights, cross: true })).made;
      }),
    );
    for (const made of all.slice(1)) expect(made).toEqual(all[0]);
  });

  test.each([UNIFORM, LEVELS])('have their means taken off where a bias takes them up', async (a) => {
    const [rows, depth] = [7, 6];
    const rowWeights = noise(3 * rows, 9).map((x) => 1 + x);
    for (const weights of [undefined, rowWeights]) {
      const { made, inputs } = await grams(rows, depth, [2, 1], a, { rowWeights: weights, cross: true, centred: true });
      const counted = weights ?? new Float32Array(3 * rows).fill(1);
      const coarse = Float64Array.from(inputs, (x) => dequantized(x, a));
      const exact = Float64Array.from(inputs);
      for (const [actual, right] of [
        [made.quantized, coarse],
        [made.cross!, exact],
      ] as const) {
        const [x, y] = [centre(coarse, counted, depth), centre(right, counted, depth)];
        const { sum } = product(x, y, counted, rows, depth);
        const largest = Math.max(...sum.map(Math.abs));
        actual.forEach((value, i) => expect(Math.abs(value - sum[i]!)).toBeLessThan(1e-5 * largest));
      }
    }
  });

  test('are symmetric, and have no cross product that nobody asked for', async () => {
    const { made } = await grams(8, 300, [2], UNIFORM, {});
    expect(made.cross).toBeUndefined();
    for (let i = 0; i < 300; i++) {
      for (let j = 0; j < i; j++) expect(made.quantized[i * 300 + j]).toBe(made.quantized[j * 300 + i]);
    }
  });

  test('of pixels are exact integers, one for both', async () => {
    const [rows, depth] = [6, 10];
    const codes = Int8Array.from(noise(2 * rows * depth, 4, 128));
    const a = shared.pool.upload(packRows([codes], depth), 'pixels');
    const chunk = { images: 2, a, b: undefined, output: a, gradient: a };
    const problem = { geometry: geometryOf(rows, depth), chunks: [chunk] };
    const made = await gramMatrices(shared, problem, { type: 'pixels', bits: 8 }, { cross: true });
    shared.pool.release(a);
    const exact = product(Float64Array.from(codes), codes, new Float32Array(2 * rows).fill(1), rows, depth);
    expect(made.quantized).toEqual(exact.sum);
    expect(made.cross).toBe(made.quantized);
  });
});

test('rows count by the root of their mean squared gradient, and never nothing', async () => {
  const [rows, images] = [5, 3];
  const gradient = noise(images * rows * COLUMNS, 5).map((g, i) => (Math.floor(i / COLUMNS) % rows === 2 ? 0 : g));
  const roots = Array.from({ length: images * rows }, (_, row) =>
    Math.hypot(...gradient.subarray(row * COLUMNS, (row + 1) * COLUMNS)),
  );
  const mean = roots.reduce((sum, root) => sum + root, 0) / roots.length;
  const chunks = chunksOf(new Float32Array(images * rows * 4), gradient, [1, 2], rows, 4);
  const problem = { geometry: geometryOf(rows, 4), chunks, metric: 'hessian' as const };
  const weights = await tokenWeights(shared, problem);
  weights.forEach((weight, row) => expect(weight).toBeCloseTo(Math.max(0.02, roots[row]! / mean), 5));
  expect(weights[2]).toBe(Math.fround(0.02));
  expect([...(await tokenWeights(shared, { ...problem, metric: 'mse' }))]).toEqual(new Array(15).fill(1));
  const still = chunksOf(new Float32Array(rows * 4), new Float32Array(rows * COLUMNS), [1], rows, 4);
  expect([...(await tokenWeights(shared, { ...problem, chunks: still }))]).toEqual([1, 1, 1, 1, 1]);
  for (const chunk of [...chunks, ...still]) [chunk.a, chunk.gradient].forEach((b) => shared.pool.release(b));
});
