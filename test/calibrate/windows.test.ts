import { beforeAll, describe, expect, test } from 'vitest';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import { describeModel } from '../../src/calibrate/describeModel.ts';
import { checkRecipeFits } from '../../src/calibrate/fitRecipe.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { PresetName } from '../../src/calibrate/options.ts';
import { calibrationOptions, type CalibrationOverrides } from '../../src/calibrate/presets.ts';
import { scoreCurve } from '../../src/calibrate/scoreCurve.ts';
import { measureFamilies } from '../../src/calibrate/sensitivity.ts';
import { deadLeaves } from '../../src/calibrate/syntheticImages.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import { compareLogits } from '../../src/evaluate/compare.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { searchedLayers } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { createFloatRunner, createSimulation } from '../../src/simulate/simulate.ts';
import { nmse, useGpu } from '../support/device.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { doubleScores } from '../support/doubleScores.ts';
import { noiseImages, PADDED_SWIN, POOLED_VIT, randomModel } from '../support/randomModel.ts';

const shared = useGpu();
const QUICK = { candidates: 4, rounds: 1 };

const run = (
  model: Model,
  few: readonly CalibrationImage[],
  preset: PresetName,
  more: CalibrationOverrides,
  chunk?: number,
) => calibrate(shared.gpu, model, few, calibrationOptions(preset, more), {}, chunk);

describe.each([
  ['padded Swin', PADDED_SWIN],
  ['pooled ViT', POOLED_VIT],
] as const)('%s', (name, config) => {
  const model = randomModel(config);
  let images: CalibrationImage[];
  beforeAll(async () => {
    images = await noiseImages(model, 21);
  });

  test('the same recipe whatever the chunk, with everything that looks at rows', async () => {
    const few = images.slice(0, 3);
    const options = { ...QUICK, weightBits: 6, activationBits: 6, biasCorrection: 'network' } as const;
    const whole = await run(model, few, 'default', options, 3);
    const parts = await run(model, few, 'default', options, 2);
    expect(JSON.stringify(parts.recipe)).toBe(JSON.stringify(whole.recipe));
    expect(quantizedWeightsFile(parts)).toEqual(quantizedWeightsFile(whole));
    checkRecipeFits(whole.recipe, 'recipe.json', model, 'model');
  });

  test('every layer states the error that its quantizers make', async () => {
    const few = images.slice(0, 2);
    const alone = { folding: 'none', compensation: 'none', rounding: 'nearest', biasCorrection: 'none' } as const;
    const { recipe } = await run(model, few, 'fast', { ...alone, activationBits: 6, candidates: 4, softmax: 'twin' });
    const scores = await doubleScores(shared, model, recipe, few);
    expect(scores).toHaveLength(searchedLayers(model.network).length);
    for (const { layer, expected } of scores) {
      expect(layer.score / expected, `${layer.name}: ${layer.score} against ${expected}`).toBeCloseTo(1, 3);
    }
  });

  test.each(['default', 'paper', 'base', 'reference'] as const)('%s at 8 bits is close to float', async (preset) => {
    const scenes = Array.from({ length: 25 }, (_, i): CalibrationImage => {
      const rgb = deadLeaves(model.config.imageSize, [0, i]);
      return { file: `scene-${i}`, sha256: String(i).padStart(64, '0'), rgb };
    });
    const result = await run(model, scenes.slice(0, 21), preset, QUICK);
    const { recipe, prepared } = result;
    const folds = recipe.options.folding !== 'none';
    expect(prepared !== model).toBe(folds); // 21 images of 49 tokens are enough to fold
    const changed = [...prepared.parameters].filter(([key, { values }]) => {
      return /norm\d\.weight$/.test(key) && String(values) !== String(model.parameters.get(key)?.values);
    });
    const first = config.family === 'swin' ? ['layers.0.blocks.0', 'layers.0.blocks.1'] : ['blocks.0']; // 36 and 16 are not
    const norms = first.flatMap((block) => [`${block}.norm1.weight`, `${block}.norm2.weight`]);
    expect(changed.map(([key]) => key)).toEqual(folds ? norms : []);
    const float = await createFloatRunner(shared.gpu, model);
    const simulation = await createSimulation(shared.gpu, prepared, recipe, quantizedWeightsFile(result));
    const rgb = scenes.slice(21).map((image) => image.rgb);
    const error = nmse(await simulation.logits(rgb), await float.logits(rgb));
    console.log(`${name}, ${preset}: SQNR of logits ${(-10 * Math.log10(error)).toFixed(1)} dB`);
    expect(error).toBeLessThan(preset === 'default' ? 1e-3 : 1e-2);
    float.destroy();
    simulation.destroy();
  });
});

test('logits that are masked do not count in the range of softmax', async () => {
  const model = randomModel(PADDED_SWIN);
  const images = await noiseImages(model, 2);
  const { recipe } = await run(model, images, 'fast', { candidates: 1, metric: 'mse' });
  const largest = new Map<string, number>();
  for (const { rgb } of images) {
    const patches = unfoldPatches(normalizePixels(rgb, model.config.preprocessing), model.config);
    doubleForward(model, patches, undefined, (unit, tensor, values) => {
      const key = `${unit.name}.${tensor}`;
      if (tensor !== 'biased') return;
      values.forEach((value) => {
        if (value > -50) largest.set(key, Math.max(largest.get(key) ?? 0, Math.abs(value)));
      });
    });
  }
  expect(largest.size).toBe(3);
  for (const [key, value] of largest) {
    expect(recipe.integer.ranges[key], key).toBeCloseTo(value, 3);
    expect(value).toBeLessThan(20);
  }
});

test('integer inference is told of every norm, softmax and GELU', async () => {
  const entries = async (model: Model) => {
    const { recipe } = await run(model, await noiseImages(model, 2), 'fast', { candidates: 1, metric: 'mse' });
    for (const { errors, method, name } of recipe.integer.nonlinear) {
      expect(errors[method], name).toBeLessThan(name === 'norm' ? 1e-6 : 0.02); // 16 bits before the mean of rows
    }
    return [recipe.integer.nonlinear.map(({ kind, name }) => `${kind} ${name}`), recipe.integer.ranges] as const;
  };
  const block = (name: string, ...more: string[]) => [
    `layerNorm ${name}.norm1`,
    ...more.map((norm) => `layerNorm ${name}.attn.${norm}`),
    ...[`softmax ${name}.attn.softmax`, `layerNorm ${name}.norm2`, `gelu ${name}.mlp.gelu`],
  ];
  const [swin, ranges] = await entries(randomModel(PADDED_SWIN));
  expect(swin).toEqual([
    ...block('layers.0.blocks.0'),
    ...block('layers.0.blocks.1'),
    'layerNorm layers.0.downsample.norm',
    ...block('layers.1.blocks.0'),
    'layerNorm norm',
  ]);
  expect(ranges).toHaveProperty('head.norm');
  expect(ranges).toHaveProperty(['layers.0.downsample.x']);
  const [vit] = await entries(randomModel(POOLED_VIT));
  expect(vit).toEqual([...block('blocks.0', 'q_norm', 'k_norm'), 'layerNorm norm']);
});

test('the sensitivity of a product counts all windows: it foretells the divergence of the logits', async () => {
  const model = randomModel(PADDED_SWIN);
  const images = await noiseImages(model, 8);
  const layer = 'layers.0.blocks.0.attn.pv';
  const options = calibrationOptions('fast', { activationBits: 4 });
  const families = await measureFamilies(shared.gpu, model, images, options);
  const [foretold] = families.find(({ name }) => name === layer)!.damage; // both operands at 4 bits
  const curve = await scoreCurve(shared.gpu, model, images, { layer, operand: 'a', bits: 4, candidates: 1, seed: 0 });
  const { hessian } = curve.scores;
  const best = curve.logits[hessian.indexOf(Math.min(...hessian))]!;
  const classes = model.network.numClasses;
  const compared = compareLogits({ logits: curve.floatLogits, classes }, { logits: best, classes }, null);
  const ratio = foretold! / compared.klDivergence;
  expect(ratio).toBeGreaterThan(0.7);
  expect(ratio).toBeLessThan(6);
});

test('layers are described with their windows, and their work is that of all of them', () => {
  const model = randomModel(PADDED_SWIN);
  const { layers, macs } = describeModel(model, calibrationOptions('default'));
  const product = layers.find(({ name }) => name === 'layers.1.blocks.0.attn.qk')!;
  expect(product).toMatchObject({ windows: 4, heads: 4, rows: 9, depth: 8, columns: 9, macs: 4 * 4 * 9 * 8 * 9 });
  const reduction = layers.find(({ name }) => name === 'layers.0.downsample.reduction')!;
  expect(reduction).toMatchObject({ windows: 1, rows: 16, depth: 64, columns: 32, parameters: 64 * 32 });
  expect(macs).toBe(layers.reduce((sum, layer) => sum + layer.macs, 0));
});
