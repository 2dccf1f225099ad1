import { beforeAll, describe, expect, test } from 'vitest';
import { calibrate, type CalibrationResult } from '../../src/calibrate/calibrate.ts';
import { checkRecipeFits } from '../../src/calibrate/fitRecipe.ts';
import { checkWeightsFit } from '../../src/calibrate/fitWeights.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { PresetName } from '../../src/calibrate/options.ts';
import { calibrationOptions, type CalibrationOverrides } from '../../src/calibrate/presets.ts';
import { parseRecipe } from '../../src/calibrate/readRecipe.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import type { Model } from '../../src/model/load.ts';
import { createFloatRunner, createSimulation } from '../../src/simulate/simulate.ts';
import { nmse, useGpu } from '../support/device.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const shared = useGpu();
let model: Model;
let images: CalibrationImage[];
let wanted: Float32Array;
beforeAll(async () => {
  model = await sampleModel();
  images = await sampleImages(model, 'calib', 2);
  const float = await createFloatRunner(shared.gpu, model);
  wanted = await float.logits(images.map(({ rgb }) => rgb));
  float.destroy();
});

function run(overrides: CalibrationOverrides, preset: PresetName = 'default', chunk = 2): Promise<CalibrationResult> {
  return calibrate(shared.gpu, model, images, calibrationOptions(preset, overrides), {}, chunk);
}

/** Error of the simulated logits, after the recipe went through its text and every check of a reader. */
async function errorOf(made: CalibrationResult): Promise<number> {
  const recipe = parseRecipe(recipeText(made.recipe), 'recipe.json');
  expect(recipe).toEqual(made.recipe);
  const weights = quantizedWeightsFile(made);
  checkRecipeFits(recipe, 'recipe.json', model, 'the sample');
  checkWeightsFit(recipe, model.network, weights, 'weights.safetensors');
  const runner = await createSimulation(shared.gpu, model, recipe, weights);
  const logits = await runner.logits(images.map(({ rgb }) => rgb));
  runner.destroy();
  return nmse(logits, wanted);
}

const QUICK = { search: 'exhaustive', candidates: 3, rounds: 1, alpha: 0.7, beta: 1 } as const;
const ofLayer = (made: CalibrationResult, end: string) => made.recipe.layers.filter(({ name }) => name.endsWith(end));

describe.each(['min-max', 'moving-average', 'percentile', 'omse', 'aciq', 'entropy'] as const)('%s', (calibrator) => {
  test('calibrates layers, the same for every cut of the images', async () => {
    const some = [{ pattern: 'blocks.1.*', options: { calibrator } }];
    const overrides = { calibrator: 'min-max', percentile: 99.9, metric: 'mse', layers: some } as const;
    const whole = await run(overrides);
    expect(await errorOf(whole)).toBeLessThan(0.05);
    if (calibrator === 'percentile' || calibrator === 'moving-average') {
      expect((await run(overrides, 'default', 1)).recipe).toEqual(whole.recipe);
    }
  });
});

test('clipping pays at 4 bits: OMSE has less error than min-max', async () => {
  const few = { weightBits: 4, activationBits: 4, metric: 'mse', softmax: 'uniform', gelu: 'uniform' } as const;
  const [ends, omse] = [await run({ ...few, calibrator: 'min-max' }), await run({ ...few, calibrator: 'omse' })];
  expect(await errorOf(omse)).toBeLessThan(await errorOf(ends));
});

test.each(['min-max', 'search'] as const)('a zero point and the restricted range by %s', async (calibrator) => {
  const made = await run({ ...QUICK, calibrator, activationOffset: 'zero-point', integerRange: 'restricted' });
  expect(await errorOf(made)).toBeLessThan(0.05);
  for (const { a, b } of ofLayer(made, 'qkv')) {
    expect([a.type, b.restricted]).toEqual(['uniform', true]);
    expect(a).toHaveProperty('zeroPoint');
  }
  for (const { codes } of made.weights.values()) expect(codes.includes(-128)).toBe(false);
  expect(ofLayer(made, 'qk').every(({ a }) => !('zeroPoint' in a))).toBe(true);
  await expect(exported(made)).rejects.toThrow(/(attn|mlp)\S*: .*set integerRange "full"/);
});

test('preset reference: the published quantizers where they belong, and no export', async () => {
  const made = await run({ candidates: 3, rounds: 1, alpha: 0.7, beta: 1 }, 'reference');
  expect(await errorOf(made)).toBeLessThan(0.05);
  expect(ofLayer(made, 'pv').every(({ a }) => a.type === 'published-softmax')).toBe(true);
  expect(ofLayer(made, 'fc2').every(({ a }) => a.type === 'published-gelu')).toBe(true);
  expect(ofLayer(made, 'qkv').every(({ b }) => b.scales.length === 3)).toBe(true);
  await expect(exported(made)).rejects.toThrow('attn.pv: "published-softmax" codes have no product of integers');
});

test('blocks of weights, runs of inputs, scales per token', async () => {
  const blocks = { weightGranularity: 'block', weightRowBlocks: 4, weightColumnBlocks: 2 } as const;
  const made = await run({ ...QUICK, ...blocks, activationBlocks: 2, gelu: 'uniform', layers: [] });
  expect(await errorOf(made)).toBeLessThan(0.05);
  expect(
    ofLayer(made, 'fc1').map(({ a, b }) => [a.type, a.type === 'block' && a.scales.length, b.scales.length]),
  ).toEqual(ofLayer(made, 'fc1').map(() => ['block', 2, 8]));
  const ends = { calibrator: 'min-max', gelu: 'uniform', activationBits: 4, folding: 'none' } as const;
  const token = await run({ ...ends, activationScaling: 'per-token' });
  expect(ofLayer(token, 'fc1').every(({ a }) => a.type === 'per-token')).toBe(true);
  const tensor = await run({ ...ends, activationScaling: 'static' });
  expect(await errorOf(token)).toBeLessThan(0.8 * (await errorOf(tensor)));
});

function exported(made: CalibrationResult) {
  return exportModel({
    recipe: made.recipe,
    recipeText: recipeText(made.recipe),
    weights: quantizedWeightsFile(made),
    weightsFile: 'weights.safetensors',
    writtenBy: 'test',
  });
}
