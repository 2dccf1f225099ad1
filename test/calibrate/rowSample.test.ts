import { beforeAll, expect, test } from 'vitest';
import { captureUnit } from '../../src/calibrate/captureUnit.ts';
import { layerPlan, prepareLayer } from '../../src/calibrate/layerPlan.ts';
import { scoreCandidates, type LayerProblem } from '../../src/calibrate/layerScorer.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { sampleRows } from '../../src/calibrate/rowSample.ts';
import { ParameterStore } from '../../src/model/execute.ts';
import { isSearched, type Unit } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { productGeometry } from '../../src/quantize/geometry.ts';
import { initialScale, type UniformQuantizer } from '../../src/quantize/quantizer.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { sampleModel } from '../support/sample.ts';

const shared = useGpu();
const IMAGES = 12;
let model: Model;
let unit: Unit;
beforeAll(async () => {
  model = await sampleModel();
  unit = model.network.units[3] as Unit; // blocks.2
});

/** Scores of three right operands for a layer of blocks.2 under a given output gradient, on all rows and on the sample. */
async function scores(layer: string, gradientOf: (token: number) => number, images = [IMAGES]) {
  const { pool, device } = shared;
  const tokens = (unit.elements[unit.input] as number) / model.config.embedDim;
  const parameters = new ParameterStore(pool, model);
  const context = { pool, device, parameters };
  const scope = pool.scope();
  try {
    const operation = unit.operations.filter(isSearched).find(({ name }) => name === layer)!;
    const geometry = productGeometry(operation, unit);
    const chunks = [];
    let first = 0;
    for (const count of images) {
      const from = first * tokens * model.config.embedDim;
      const length = count * tokens * model.config.embedDim;
      const input = noise(IMAGES * tokens * model.config.embedDim, 1, 2).slice(from, from + length);
      const outputGradient = noise(IMAGES * tokens * model.config.embedDim, 2)
        .slice(from, from + length)
        .map((g, i) => g * gradientOf(Math.floor(i / model.config.embedDim) % tokens));
      const chunk = { images: count, input, outputGradient, pixelCodes: undefined };
      chunks.push((await captureUnit(context, unit, chunk, scope)).layers.get(layer)!);
      first += count;
    }
    const options = calibrationOptions('default', { weightBits: 6, activationBits: 6 });
    const plan = layerPlan(operation, options);
    const { problem, ranges } = await prepareLayer(context, model, operation, geometry, chunks, plan, options, scope);
    const granularity = geometry.b ? 'head' : 'channel';
    const right = (factor: number): UniformQuantizer => ({
      type: 'uniform',
      bits: 6,
      granularity,
      scales: ranges.b.map((largest) => Math.fround(factor * initialScale(largest, 6))),
    });
    const left = { ...right(1), granularity: geometry.b ? ('head' as const) : ('tensor' as const) };
    const a = { ...left, scales: ranges.a.map((largest) => initialScale(largest, 6)) };
    const groups = geometry.b ? ({ by: 'heads' } as const) : ({ by: 'columns', parts: 1 } as const);
    const totals = async (on: LayerProblem) =>
      (await scoreCandidates(context, on, [a], [0.6, 0.9, 1.2].map(right), groups, () => undefined)).flatMap((t) => [
        ...t,
      ]);
    const sample = await sampleRows(context, problem, scope);
    return { all: await totals(problem), few: await totals(sample.problem), sample };
  } finally {
    scope.release();
    parameters.destroy();
  }
}

const linear = 'blocks.2.mlp.fc1';
const attention = 'blocks.2.attn.qk';

test('rows whose gradient is exactly zero are left out and the scores stay', async () => {
  const onlyClass = (token: number) => (token === 0 ? 1 : 0);
  const { all, few, sample } = await scores('blocks.2.mlp.fc2', onlyClass);
  expect([sample.exact, sample.problem.geometry.rows]).toEqual([true, IMAGES]);
  few.forEach((score, i) => expect(score / (all[i] as number)).toBeCloseTo(1, 5));
});

test.each([linear, attention])('a sample estimates the scores of %s and the order of its candidates', async (layer) => {
  const heavy = (token: number) => 1 / (1 + (token % 16));
  const { all, few, sample } = await scores(layer, heavy);
  expect(sample.exact).toBe(false);
  expect(sample.share).toBeLessThan(0.2);
  few.forEach((score, i) => expect(Math.abs(score / (all[i] as number) - 1)).toBeLessThan(0.25));
  const order = (values: number[]) =>
    values
      .map((v, i) => [v, i] as const)
      .sort((x, y) => x[0] - y[0])
      .map(([, i]) => i);
  if (layer === linear) expect(order(few)).toEqual(order(all));
});

test.each([linear, attention])('the sample of %s does not depend on how its images are cut', async (layer) => {
  const heavy = (token: number) => 1 / (1 + (token % 16));
  const whole = await scores(layer, heavy);
  const cut = await scores(layer, heavy, [5, 7]);
  expect(cut.few).toEqual(whole.few);
  expect(cut.all).toEqual(whole.all);
});
