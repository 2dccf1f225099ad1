import { beforeAll, describe, expect, test } from 'vitest';
import { captureUnit } from '../../src/calibrate/captureUnit.ts';
import { compensateLayer, type SearchedWeight } from '../../src/calibrate/compensation/compensateLayer.ts';
import { correctedBias, meanOutputError } from '../../src/calibrate/compensation/biasCorrection.ts';
import { tokenWeights } from '../../src/calibrate/compensation/tokenWeights.ts';
import { codeValues, nearestCodes } from '../../src/calibrate/compensation/weightCodes.ts';
import type { Metric } from '../../src/calibrate/options.ts';
import { scorePairs } from '../../src/calibrate/scorePairs.ts';
import type { LayerProblem } from '../../src/calibrate/layerScorer.ts';
import type { RightQuantizer } from '../../src/quantize/floatQuantizer.ts';
import { ParameterStore } from '../../src/model/execute.ts';
import type { LinearOperation, Unit } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { codeRange } from '../../src/quantize/codeRange.ts';
import { productGeometry } from '../../src/quantize/geometry.ts';
import { layerWeight } from '../../src/quantize/layerWeight.ts';
import { initialScale, type ActivationQuantizer } from '../../src/quantize/quantizer.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { sampleModel } from '../support/sample.ts';

const shared = useGpu();
const IMAGES = 6;
let model: Model;
let unit: Unit;
beforeAll(async () => {
  model = await sampleModel();
  unit = model.network.units[3] as Unit; // blocks.2
});

const GELU: ActivationQuantizer = { type: 'twin-gelu', bits: 4, scaleR2: Math.fround(0.15), shift: 1 };
const PLAIN: ActivationQuantizer = { type: 'uniform', bits: 4, granularity: 'tensor', scales: [Math.fround(0.35)] };

type Options = SearchedWeight['options'];
const NOTHING: Options = { compensation: 'none', rounding: 'nearest', biasCorrection: 'none' };

/** What a layer of blocks.2 reads and writes under random inputs, its gradient large at few tokens, and its weight on a grid of 3 bits. */
async function withLayer<T>(
  layer: string,
  metric: Metric,
  cut: readonly number[],
  use: (problem: LayerProblem, searched: Omit<SearchedWeight, 'options'>) => Promise<T>,
  gradientOf: (token: number) => number = (token) => 1 / (1 + (token % 7)),
): Promise<T> {
  const { pool, device } = shared;
  const parameters = new ParameterStore(pool, model);
  const scope = pool.scope();
  try {
    const operation = unit.operations.find((each) => each.kind === 'linear' && each.name === layer) as LinearOperation;
    const { embedDim } = model.config;
    const tokens = (unit.elements[unit.input] as number) / embedDim;
    const all = noise(IMAGES * tokens * embedDim, 1, 2).map((x, i) => x + ((i % embedDim) % 3));
    const gradients = noise(all.length, 2).map((g, i) => g * gradientOf(Math.floor(i / embedDim) % tokens));
    const chunks = [];
    let first = 0;
    for (const images of cut) {
      const part = (values: Float32Array) =>
        values.slice(first * tokens * embedDim, (first + images) * tokens * embedDim);
      const chunk = { images, input: part(all), outputGradient: part(gradients), pixelCodes: undefined };
      chunks.push((await captureUnit({ pool, device, parameters }, unit, chunk, scope)).layers.get(layer)!);
      first += images;
    }
    const { weight, bias } = layerWeight(model, operation);
    const { inFeatures, outFeatures } = operation;
    const scales = Array.from({ length: outFeatures }, (_, row) =>
      initialScale(Math.max(...weight.subarray(row * inFeatures, (row + 1) * inFeatures).map(Math.abs)), 3),
    );
    const problem: LayerProblem = {
      name: layer,
      geometry: productGeometry(operation, unit),
      chunks,
      weight: scope.upload(weight, 'weight'),
      bias: bias && scope.upload(bias, 'bias'),
      packedOperand: false,
      metric,
    };
    const b = { type: 'uniform', bits: 3, granularity: 'channel', scales } as const;
    return await use(problem, { weight, bias, a: operation.operand === 'post-gelu' ? GELU : PLAIN, b });
  } finally {
    scope.release();
    parameters.destroy();
  }
}

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, value) => total + value, 0);

test('a weight of more columns than rows can tell apart keeps nearest codes', async () => {
  await withLayer('blocks.2.mlp.fc2', 'hessian', [IMAGES], async (problem, searched) => {
    const { rows, depth } = problem.geometry;
    expect(IMAGES * rows).toBeLessThan(2 * depth);
    const options: Options = { ...NOTHING, compensation: 'gptq', rounding: 'refined' };
    const made = await compensateLayer(shared, problem, { ...searched, options });
    expect([...made.codes]).toEqual([...nearestCodes(gridOf(problem, searched).grid)]);
  });
});

describe.each(['blocks.2.mlp.fc1', 'blocks.2.attn.qkv'])('the weight of %s', (layer) => {
  test('keeps nearest codes and its bias where nothing is asked for', async () => {
    await withLayer(layer, 'hessian', [IMAGES], async (problem, searched) => {
      const made = await compensateLayer(shared, problem, { ...searched, options: NOTHING });
      const { rows, columns, grid } = gridOf(problem, searched);
      expect([...made.codes]).toEqual([...nearestCodes(grid)]);
      expect(made.bias).toEqual(searched.bias);
      expect(made.b).toEqual(searched.b);
      const [scores] = await scorePairs(
        shared,
        problem,
        [searched.a],
        [searched.b],
        { by: 'columns', parts: rows },
        () => undefined,
      );
      expect(made.score).toBe(sum(scores!));
      expect(made.scoreOfNearest).toBe(made.score);
      expect(made.codes.length).toBe(rows * columns);
    });
  });

  test('scores lower with every step, in every row', async () => {
    await withLayer(layer, 'hessian', [IMAGES], async (problem, searched) => {
      const steps: Options[] = [
        NOTHING,
        { ...NOTHING, rounding: 'refined' },
        { ...NOTHING, compensation: 'gptq' },
        { ...NOTHING, compensation: 'gptq', rounding: 'refined' },
        { ...NOTHING, compensation: 'ridge-gptq', rounding: 'refined' },
        { compensation: 'ridge-gptq', rounding: 'refined', biasCorrection: 'layer' },
      ];
      const made = [];
      for (const options of steps) made.push(await compensateLayer(shared, problem, { ...searched, options }));
      const scores = made.map(({ score }) => score);
      const [nearest, refined, gptq, both, ridge, everything] = scores as [
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      expect(refined).toBeLessThan(0.9 * nearest);
      expect(gptq).toBeLessThan(0.9 * nearest);
      expect(both).toBeLessThanOrEqual(gptq);
      expect(ridge).toBeLessThan(nearest);
      expect(everything).toBeLessThanOrEqual(ridge);
      for (const { codes, score, scoreOfNearest, bias, b } of made) {
        expect(scoreOfNearest).toBe(nearest);
        expect([Math.min(...codes), Math.max(...codes)].map(Math.abs).every((code) => code <= 4)).toBe(true);
        const { grid, rows } = gridOf(problem, searched);
        const own = gridOf(problem, { ...searched, b });
        const perRow = await rowScores(problem, { ...searched, b }, codeValues(codes, own.grid), bias);
        const before = await rowScores(problem, searched, codeValues(nearestCodes(grid), grid), searched.bias);
        expect(sum(perRow)).toBe(score);
        for (let row = 0; row < rows; row++) expect(perRow[row]).toBeLessThanOrEqual(before[row]!);
      }
    });
  });

  test('is the same bytes however images are cut', async () => {
    const options: Options = { compensation: 'ridge-gptq', rounding: 'refined', biasCorrection: 'layer' };
    const run = (cut: readonly number[]) =>
      withLayer(layer, 'hessian', cut, (problem, searched) =>
        compensateLayer(shared, problem, { ...searched, options }),
      );
    const whole = await run([IMAGES]);
    for (const cut of [
      [1, 5],
      [2, 2, 2],
    ]) {
      expect(await run(cut)).toEqual(whole);
    }
  });
});

test.each<[Metric, RightQuantizer['type']]>([
  ['mse', 'block'],
  ['cosine', 'uniform'],
])('by %s, a %s quantizer, gives a lower score of the layer', async (metric, type) => {
  await withLayer('blocks.2.mlp.fc1', metric, [IMAGES], async (problem, searched) => {
    const { depth, columns } = problem.geometry;
    const scale = initialScale(Math.max(...searched.weight.map(Math.abs)), 3);
    const block: RightQuantizer = {
      type: 'block',
      bits: 3,
      rowBlocks: 2,
      columnBlocks: 4,
      scales: Array.from({ length: 8 }, (_, i) => Math.fround(scale * (0.6 + 0.05 * i))),
      restricted: true,
    };
    const b = type === 'block' ? block : searched.b;
    const options: Options = { compensation: 'gptq', rounding: 'refined', biasCorrection: 'layer' };
    const made = await compensateLayer(shared, problem, { ...searched, b, options });
    expect(made.score).toBeLessThan(0.97 * made.scoreOfNearest);
    expect(made.codes.length).toBe(depth * columns);
    const [scores] = await scorePairs(shared, problem, [searched.a], [b], { by: 'columns', parts: 1 }, () => undefined);
    expect(made.scoreOfNearest / scores![0]!).toBeCloseTo(1, 5);
    if (type === 'block') expect(made.b).toBe(b);
    if (type === 'block') expect([Math.min(...made.codes), Math.max(...made.codes)]).toEqual([-3, 3]);
  });
});

test('the corrected bias leaves no mean error, over the rows that count', async () => {
  await withLayer('blocks.2.mlp.fc2', 'hessian', [2, 4], async (problem, searched) => {
    const { rows, columns } = problem.geometry;
    const { grid } = gridOf(problem, searched);
    const codes = nearestCodes(grid);
    for (const weights of [
      new Float32Array(IMAGES * rows).fill(1),
      noise(IMAGES * rows, 4).map((x) => (x > 0 ? 1 : 0)),
    ]) {
      const deployed = { codes, a: searched.a, b: searched.b };
      const error = await meanOutputError(shared, problem, { ...deployed, bias: searched.bias }, weights);
      const bias = correctedBias(searched.bias, error);
      const left = await meanOutputError(shared, problem, { ...deployed, bias }, weights);
      const [before, after] = [error, left].map((values) => Math.max(...values.map(Math.abs))) as [number, number];
      expect(before).toBeGreaterThan(0.01);
      expect(after).toBeLessThan(2e-6);
      expect(error.length).toBe(columns);
      const without = await meanOutputError(shared, problem, { ...deployed, bias: null }, weights);
      without.forEach((value, i) => expect(value).toBeCloseTo(error[i]! + searched.bias![i]!, 5));
    }
    expect([...correctedBias(null, Float64Array.of(0.5))]).toEqual([0.5]);
  });
});

test('rows count in a bias by their gradient', async () => {
  const options: Options = { ...NOTHING, biasCorrection: 'layer' };
  await withLayer(
    'blocks.2.mlp.fc2',
    'hessian',
    [IMAGES],
    async (problem, searched) => {
      const made = await compensateLayer(shared, problem, { ...searched, options });
      const { grid } = gridOf(problem, searched);
      const counted = await tokenWeights(shared, problem);
      const deployed = { codes: nearestCodes(grid), bias: searched.bias, a: searched.a, b: searched.b };
      const expected = correctedBias(searched.bias, await meanOutputError(shared, problem, deployed, counted));
      const changed = [...made.bias!].filter((value, i) => value !== searched.bias![i]);
      expect(changed.length).toBeGreaterThan(expected.length / 2);
      made.bias!.forEach((value, i) => expect([searched.bias![i], expected[i]]).toContain(value));
    },
    (token) => (token === 0 ? 1 : 0),
  );
});

test('a score that is not finite names the layer', async () => {
  await withLayer('blocks.2.mlp.fc2', 'mse', [IMAGES], async (problem, searched) => {
    const weight = searched.weight.map(() => NaN);
    const bias = searched.bias!.map(() => Infinity);
    await expect(compensateLayer(shared, problem, { ...searched, weight, bias, options: NOTHING })).rejects.toThrow(
      /^blocks.2.mlp.fc2: a score is (Infinity|NaN)/,
    );
  });
});

function gridOf({ geometry }: LayerProblem, { weight, b }: Omit<SearchedWeight, 'options'>) {
  const { columns: rows, depth: columns } = geometry;
  const grid = { weight, scales: Float32Array.from(b.scales), rows, columns, range: codeRange(b.bits) };
  return { rows, columns, grid };
}

async function rowScores(
  problem: LayerProblem,
  { a, b }: Omit<SearchedWeight, 'options'>,
  values: Float32Array,
  bias: Float32Array | null,
): Promise<Float64Array> {
  const scope = shared.pool.scope();
  try {
    const given = {
      ...problem,
      weight: scope.upload(values, 'values'),
      bias: bias && scope.upload(bias, 'bias'),
    };
    const parts = problem.geometry.columns;
    return (await scorePairs(shared, given, [a], [b], { by: 'columns', parts }, () => undefined))[0]!;
  } finally {
    scope.release();
  }
}
