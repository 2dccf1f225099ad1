import { expect, test } from 'vitest';
import golden from '../golden/published/published.json' with { type: 'json' };
import { scoreFloatCandidates } from '../../src/calibrate/floatScorer.ts';
import { scoreCandidates, type LayerProblem } from '../../src/calibrate/layerScorer.ts';
import type { LayerPlan } from '../../src/calibrate/operands.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { searchAsPublished } from '../../src/calibrate/publishedSearch.ts';
import { submit } from '../../src/gpu/kernel.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { floatLeft } from '../../src/quantize/floatOperand.ts';
import type { LeftQuantizer, RightQuantizer } from '../../src/quantize/floatQuantizer.ts';
import type { StridedMatrix } from '../../src/quantize/geometry.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';

const shared = useGpu();
const f32 = (values: readonly number[]) => Float32Array.from(values);

/** Dense matrices of each image and head. */
function dense(tensor: string, heads: number, rows: number, columns: number): StridedMatrix {
  const [headStride, rowStride] = [rows * columns, columns];
  return { tensor, offset: 0, imageStride: heads * headStride, headStride, rowStride, columnStride: 1 };
}

interface Data {
  readonly a: Float32Array;
  /** The right operand of attention `[depth, columns]`, or a weight `[columns, depth]`. */
  readonly b: Float32Array;
  readonly bias?: Float32Array;
  readonly gradient: Float32Array;
}

/** A layer of `images` images whose float output is made here; chunks of the given numbers of images. */
function problemOf(
  kind: 'linear' | 'matmul',
  { heads, rows, depth, columns }: { heads: number; rows: number; depth: number; columns: number },
  data: Data,
  chunks: readonly number[],
): LayerProblem {
  const { pool } = shared;
  const images = chunks.reduce((sum, count) => sum + count, 0);
  const size = { a: heads * rows * depth, b: heads * depth * columns, y: heads * rows * columns };
  const output = new Float32Array(images * size.y);
  for (let i = 0; i < output.length; i++) {
    const [column, row, batch] = [i % columns, Math.floor(i / columns) % rows, Math.floor(i / columns / rows)];
    let sum = data.bias?.[column] ?? 0;
    for (let k = 0; k < depth; k++) {
      const right = kind === 'linear' ? data.b[column * depth + k]! : data.b[(batch * depth + k) * columns + column]!;
      sum += data.a[(batch * rows + row) * depth + k]! * right;
    }
    output[i] = sum;
  }
  let first = 0;
  const part = (values: Float32Array, each: number, count: number) =>
    pool.upload(values.slice(first * each, (first + count) * each), 'captured');
  return {
    name: 'layer',
    geometry: {
      ...{ windows: 1, heads, rows, depth, columns },
      a: dense('a', heads, rows, depth),
      b: kind === 'matmul' ? dense('b', heads, depth, columns) : undefined,
      output: dense('y', heads, rows, columns),
    },
    chunks: chunks.map((count) => {
      const chunk = {
        images: count,
        a: part(data.a, size.a, count),
        b: kind === 'matmul' ? part(data.b, size.b, count) : undefined,
        output: part(output, size.y, count),
        gradient: part(data.gradient, size.y, count),
      };
      first += count;
      return chunk;
    }),
    weight: kind === 'linear' ? pool.upload(data.b, 'weight') : undefined,
    bias: data.bias ? pool.upload(data.bias, 'bias') : null,
    packedOperand: false,
    metric: 'hessian',
  };
}

const planOf = (kind: LayerPlan['kind'], operand: LayerPlan['operand'], bits: number, parts = 1): LayerPlan => ({
  ...{ kind, operand, aBits: bits, bBits: bits, parts, effort: 1 },
});

/** Sum of the errors of a pair. */
async function errorOf(problem: LayerProblem, a: LeftQuantizer, b: RightQuantizer): Promise<number> {
  const totals = await scoreFloatCandidates(shared, problem, [a], [b], { by: 'columns', parts: 1 }, () => undefined);
  return totals[0]?.[0] as number;
}

async function valuesOf(values: readonly number[], quantizer: LeftQuantizer): Promise<Float32Array> {
  const { pool, device } = shared;
  const scope = pool.scope();
  const matrix = dense('x', 1, 1, values.length);
  const shape = { images: 1, heads: 1, rows: 1, depth: values.length };
  const made = await floatLeft(device, scope.upload(f32(values), 'x'), matrix, shape, [quantizer], scope);
  submit(device, made.dispatches);
  const found = await readF32(device, made.values, values.length);
  scope.release();
  return found;
}

test.each(golden.quantizers.softmax)('sum of ranges of $bits bits, split $split, as published', async (made) => {
  const found = await valuesOf(made.values, { type: 'published-softmax', bits: made.bits, split: made.split });
  made.made.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 6));
});

test.each(golden.quantizers.gelu)(
  'untied ranges of $bits bits after GELU, as published',
  async ({ bits, scales, values, made }) => {
    const negativeScale = Math.fround(0.16997124254703522 / 2 ** (bits - 1));
    const found = await valuesOf(values, { type: 'published-gelu', bits, scales, negativeScale });
    made.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 5));
  },
);

test.each([8, 6, 4] as const)(
  'P.V at %i bits: split and scales of V are those of the published search',
  async (bits) => {
    const { a, b, gradient, found } = golden.softmax;
    const data = { a: f32(a), b: f32(b), gradient: f32(gradient) };
    const options = calibrationOptions('reference', { activationBits: bits });
    const expected = found[bits];
    for (const chunks of [[2], [1, 1]]) {
      const problem = problemOf('matmul', { heads: 2, rows: 9, depth: 9, columns: 8 }, data, chunks);
      const plan = planOf('matmul', 'post-softmax', bits);
      const layer = await searchAsPublished(shared, problem, plan, options, { gradientRms: 1 }, () => undefined);
      expect(layer.a).toEqual({ type: 'published-softmax', bits, split: expected.split });
      expect(layer.b).toMatchObject({ type: 'uniform', granularity: 'head' });
      layer.b.scales.forEach((scale, head) => expect(scale / (expected.scales[head] as number)).toBeCloseTo(1, 5));
      expect((layer.score * 288) / expected.error).toBeCloseTo(1, 4);
    }
  },
);

test.each(golden.linear.cases)('$name at $bits bits: every scale is that of the published search', async (made) => {
  const { name, bits, rowBlocks, columnBlocks, activationBlocks, input, found } = made;
  const { weight, bias, gradient } = golden.linear;
  const data = { a: f32(input), b: f32(weight), bias: f32(bias), gradient: f32(gradient) };
  const gelu = name === 'gelu';
  const options = calibrationOptions('reference', {
    ...{ activationBits: bits, weightBits: bits, activationBlocks },
    ...(name === 'blocks'
      ? { weightGranularity: 'block', weightRowBlocks: rowBlocks, weightColumnBlocks: columnBlocks }
      : {}),
  });
  const problem = problemOf('linear', { heads: 1, rows: 9, depth: 16, columns: 12 }, data, [1, 1]);
  const plan = planOf('linear', gelu ? 'post-gelu' : 'plain', bits, rowBlocks);
  let work = 0;
  const layer = await searchAsPublished(shared, problem, plan, options, { gradientRms: 1 }, (count) => (work += count));
  expect(layer.a.type).toBe(gelu ? 'published-gelu' : activationBlocks > 1 ? 'block' : 'uniform');
  expect(layer.b.type).toBe(name === 'blocks' ? 'block' : 'uniform');
  const close = (scales: readonly number[], expected: readonly number[]) => {
    expect(scales).toHaveLength(expected.length);
    scales.forEach((scale, i) => expect(scale / (expected[i] as number)).toBeCloseTo(1, 5));
  };
  close((layer.a as { scales: readonly number[] }).scales, found.a);
  close(layer.b.scales, found.b);
  expect((layer.score * 216) / found.error).toBeCloseTo(1, 4);
  expect(work).toBeCloseTo(3 * 100 * (columnBlocks + activationBlocks), 6);
  expect((await errorOf(problem, layer.a, layer.b)) / found.error).toBeCloseTo(1, 4);
});

test('the float score of codes with an integer product is their integer score, for metrics of elements and of rows', async () => {
  const data = {
    a: noise(2 * 33 * 20, 1, 3),
    b: noise(12 * 20, 2),
    bias: noise(12, 3),
    gradient: noise(2 * 33 * 12, 4),
  };
  const base = problemOf('linear', { heads: 1, rows: 33, depth: 20, columns: 12 }, data, [2]);
  const a = { type: 'uniform', bits: 6, granularity: 'tensor', scales: [0.09], zeroPoint: 5 } as const;
  const b = [0.02, 0.03, 0.04].map(
    (scale) =>
      ({ type: 'uniform', bits: 6, granularity: 'part', scales: [scale, 0.9 * scale], restricted: true }) as const,
  );
  for (const metric of ['hessian', 'linear-weighted-mse', 'pearson'] as const) {
    const problem = { ...base, metric };
    const groups = { by: 'columns', parts: 2 } as const;
    const integer = await scoreCandidates(shared, problem, [a], b, groups, () => undefined);
    const float = await scoreFloatCandidates(shared, problem, [a], b, groups, () => undefined);
    integer.forEach((scores, c) => {
      scores.forEach((score, group) => expect((float[c] as Float64Array)[group]! / score, metric).toBeCloseTo(1, 3));
    });
  }
});

test('a token has its own scale: a large one costs the others nothing', async () => {
  const rows = 6;
  const a = noise(rows * 16, 7).map((x, i) => (i < 16 ? 100 * x : x));
  const data = { a, b: noise(12 * 16, 8), gradient: new Float32Array(rows * 12).fill(1) };
  const problem = problemOf('linear', { heads: 1, rows, depth: 16, columns: 12 }, data, [1]);
  const b: RightQuantizer = { type: 'uniform', bits: 8, granularity: 'tensor', scales: [1 / 127.5] };
  const largest = a.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const tensor = { type: 'uniform', bits: 8, granularity: 'tensor', scales: [largest / 127.5] } as const;
  const [whole, token] = [await errorOf(problem, tensor, b), await errorOf(problem, { type: 'per-token', bits: 8 }, b)];
  expect(token).toBeLessThan(whole);
  const found = await valuesOf([...a.subarray(16, 32)], { type: 'per-token', bits: 8 });
  const own = a.subarray(16, 32).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  found.forEach((value, i) => expect(Math.abs(value - a[16 + i]!)).toBeLessThanOrEqual((0.501 * own) / 127.5));
});

test('blocks that do not divide the features, and levels, are refused by the name of the layer', async () => {
  const data = { a: noise(2 * 16, 1), b: noise(12 * 16, 2), gradient: noise(24, 3) };
  const problem = problemOf('linear', { heads: 1, rows: 2, depth: 16, columns: 12 }, data, [1]);
  const refused = (overrides: Parameters<typeof calibrationOptions>[1], operand: LayerPlan['operand'] = 'plain') => {
    const options = calibrationOptions('reference', overrides);
    return expect(
      searchAsPublished(shared, problem, planOf('linear', operand, 8), options, { gradientRms: 1 }, () => undefined),
    ).rejects;
  };
  await refused({ weightGranularity: 'block', weightColumnBlocks: 5 }).toThrow(
    'layer: weightColumnBlocks 5 does not divide its 16',
  );
  await refused({ weightGranularity: 'block', weightRowBlocks: 5 }).toThrow(
    'layer: weightRowBlocks 5 does not divide its 12',
  );
  await refused({ activationBlocks: 3 }).toThrow('layer: activationBlocks 3 does not divide its 16 input features');
  await refused({ activationOffset: 'zero-point', activationBlocks: 2 }).toThrow(
    'layer: activationOffset "zero-point" needs',
  );
  await refused({ gelu: 'log2' }, 'post-gelu').toThrow('layer: gelu "log2" is found by scores');
});
