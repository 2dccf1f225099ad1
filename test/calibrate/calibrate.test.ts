import { beforeAll, describe, expect, test } from 'vitest';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { CheckpointStore } from '../../src/calibrate/checkpoint.ts';
import { CalibrationError } from '../../src/calibrate/errors.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import type { LayerRecipe, Recipe } from '../../src/calibrate/recipe.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import { modelSizes } from '../../src/model/config.ts';
import type { Model } from '../../src/model/load.ts';
import { useGpu } from '../support/device.ts';
import { doubleScores } from '../support/doubleScores.ts';
import { noiseImages } from '../support/randomModel.ts';
import { sampleImages, shallowSample } from '../support/sample.ts';

const shared = useGpu();
let model: Model;
let images: CalibrationImage[];
beforeAll(async () => {
  model = await shallowSample(2);
  images = await sampleImages(model, 'calib', 4);
});

const bytesOf = (recipe: Recipe) => JSON.stringify(recipe);
const layerOf = (recipe: Recipe, name: string) => recipe.layers.find((layer) => layer.name === name) as LayerRecipe;

describe('the same inputs give the same recipe, byte for byte', () => {
  test('in two runs, and whatever the number of images in a chunk', async () => {
    const options = {
      ...calibrationOptions('default', { weightBits: 6, activationBits: 6 }),
      candidates: 24,
      rounds: 2,
    };
    const few = images.slice(0, 3);
    const first = await calibrate(shared.gpu, model, few, options);
    for (const chunk of [3, 2]) {
      const again = await calibrate(shared.gpu, model, few, options, {}, chunk);
      expect(bytesOf(again.recipe), `chunks of ${chunk}`).toBe(bytesOf(first.recipe));
      expect(quantizedWeightsFile(again)).toEqual(quantizedWeightsFile(first));
    }
    const other = await calibrate(shared.gpu, model, few, { ...options, seed: 1, candidates: 3, rounds: 1 });
    expect(other.recipe.layers.map(({ score }) => score)).not.toEqual(first.recipe.layers.map(({ score }) => score));
  });
});

/** The score that a recipe states, against sums in double from the definitions of its quantizers. */
test.each([
  ['default', 'twin'],
  ['paper', 'twin'],
  ['default', 'adaptive-log'],
] as const)('%s, %s: every layer states the error that its quantizers make', async (preset, shaped) => {
  const few = images.slice(0, 2);
  const widths = { activationBits: 6, weightBits: 4, softmax: shaped, gelu: shaped };
  const alone = { folding: 'none', compensation: 'none', rounding: 'nearest', biasCorrection: 'none' } as const;
  const options = { ...calibrationOptions(preset, widths), candidates: 8, rounds: 1, ...alone };
  const { recipe } = await calibrate(shared.gpu, model, few, options);
  const scores = await doubleScores(shared, model, recipe, few);
  expect(scores).toHaveLength(recipe.layers.length);
  for (const { layer, expected } of scores) {
    expect(layer.score / expected, `${layer.name}: ${layer.score} against ${expected}`).toBeCloseTo(1, 3);
  }
});

test('every layer of a folded and compensated network states the error that its codes and biases make', async () => {
  const many = await sampleImages(model, 'calib', 16); // enough tokens for foldings and for compensation
  const widths = { activationBits: 6, weightBits: 4 };
  const options = { ...calibrationOptions('default', widths), candidates: 4, rounds: 1 };
  const result = await calibrate(shared.gpu, model, many, options);
  expect(result.prepared).not.toBe(model);
  const scores = await doubleScores(shared, model, result.recipe, many, result);
  expect(scores).toHaveLength(result.recipe.layers.length);
  for (const { layer, expected } of scores) {
    expect(layer.score / expected, `${layer.name}: ${layer.score} against ${expected}`).toBeCloseTo(1, 3);
  }
});

test('nothing is folded for images that show nothing, however many', async () => {
  const options = { ...calibrationOptions('fast'), candidates: 2 };
  expect((await calibrate(shared.gpu, model, await noiseImages(model, 16), options)).prepared).toBe(model);
  const photos = await sampleImages(model, 'calib', 16);
  expect((await calibrate(shared.gpu, model, photos, options)).prepared).not.toBe(model);
});

describe('presets', () => {
  const quick = { candidates: 4, rounds: 1 };

  test('base: cosine, no twin ranges, weights per tensor with q, k, v apart', async () => {
    const { recipe } = await calibrate(shared.gpu, model, images, { ...calibrationOptions('base'), ...quick });
    expect(new Set(recipe.layers.map(({ a }) => a.type))).toEqual(new Set(['pixels', 'uniform']));
    expect(layerOf(recipe, 'blocks.0.attn.qkv').b.scales).toHaveLength(3);
    expect(layerOf(recipe, 'blocks.0.mlp.fc1').b.scales).toHaveLength(1);
    expect(layerOf(recipe, 'blocks.0.attn.qk').b.scales).toHaveLength(modelSizes(model.config).heads);
    for (const { score } of recipe.layers) expect(score).toBeLessThan(0.1);
  });

  test('twin ranges after softmax and GELU, one scale per output channel, the published boundary only in paper', async () => {
    const boundaries = { default: 'nearest', paper: 'published' } as const;
    for (const preset of ['default', 'paper'] as const) {
      const { recipe } = await calibrate(shared.gpu, model, images, { ...calibrationOptions(preset), ...quick });
      expect(layerOf(recipe, 'blocks.1.attn.pv').a).toMatchObject({
        type: 'twin-softmax',
        boundary: boundaries[preset],
      });
      expect(layerOf(recipe, 'blocks.1.mlp.fc2').a).toMatchObject({ type: 'twin-gelu' });
      expect(layerOf(recipe, 'head').b.scales).toHaveLength(model.config.numClasses);
    }
  });

  test('below 6 bits default keeps the outer weights at 8, base does not; the mean says so', async () => {
    const low = { weightBits: 4, activationBits: 4 };
    const widths = async (preset: 'default' | 'base') => {
      const { recipe } = await calibrate(shared.gpu, model, images, { ...calibrationOptions(preset, low), ...quick });
      return {
        outer: layerOf(recipe, 'patch_embed').b.bits,
        inner: layerOf(recipe, 'blocks.0.attn.qkv').b.bits,
        recipe,
      };
    };
    const kept = await widths('default');
    expect([kept.outer, kept.inner]).toEqual([8, 4]);
    expect(kept.recipe.meanWeightBits).toBeGreaterThan(4);
    const same = await widths('base');
    expect([same.outer, same.inner, same.recipe.meanWeightBits]).toEqual([4, 4, 4]);
  });
});

/** A store in memory that keeps the results of finished jobs too. */
function storeIn(saved: Map<string, Uint8Array>): CheckpointStore {
  return {
    read: (_job, unit) => Promise.resolve(saved.get(unit)),
    write: (_job, unit, bytes) => Promise.resolve(void saved.set(unit, bytes)),
    remove: () => Promise.resolve(),
  };
}

describe('a run that does not end', () => {
  const options = { ...calibrationOptions('default'), candidates: 6, rounds: 2 };

  test('stops with the reason of its signal, and a later run goes on at the last finished unit', async () => {
    const saved = new Map<string, Uint8Array>();
    const checkpoints = storeIn(saved);
    const whole = await calibrate(shared.gpu, model, images, options);
    const controller = new AbortController();
    const stopped = calibrate(shared.gpu, model, images, options, {
      checkpoints,
      signal: controller.signal,
      onProgress: ({ stage }) => stage === 'blocks.0' && controller.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
    expect([...saved.keys()]).toEqual(['head', 'blocks.1']);
    const resumed = await calibrate(shared.gpu, model, images, options, { checkpoints });
    expect(bytesOf(resumed.recipe)).toBe(bytesOf(whole.recipe));
    expect(resumed.candidates).toBeLessThan(whole.candidates);
  });

  test('checkpoints of other images are not used', async () => {
    const saved = new Map<string, Uint8Array>();
    const checkpoints = storeIn(saved);
    const quick = { ...options, candidates: 3, rounds: 1 };
    await calibrate(shared.gpu, model, images.slice(0, 1), quick, { checkpoints });
    const all = await calibrate(shared.gpu, model, images, quick, { checkpoints });
    const fresh = await calibrate(shared.gpu, model, images, quick);
    expect(all.candidates).toBe(fresh.candidates);
    expect(bytesOf(all.recipe)).toBe(bytesOf(fresh.recipe));
  });

  test('progress never falls, ends at its total and estimates what is left', async () => {
    const seen: { done: number; total: number; remainingMs?: number }[] = [];
    await calibrate(shared.gpu, model, images, options, { onProgress: (progress) => seen.push(progress) });
    for (let i = 1; i < seen.length; i++) expect(seen[i]!.done).toBeGreaterThanOrEqual(seen[i - 1]!.done);
    const last = seen.at(-1)!;
    expect(last.done / last.total).toBeCloseTo(1, 6);
    const ended = seen.filter(({ done, total }) => done >= total * (1 - 1e-9));
    expect(ended.length, 'work done is work planned: no more, and not before the end').toBeLessThanOrEqual(3);
    expect(seen.every(({ remainingMs }) => remainingMs !== undefined && remainingMs >= 0)).toBe(true);
  });
});

describe('what cannot be searched', () => {
  test('no image', async () => {
    await expect(calibrate(shared.gpu, model, [], calibrationOptions('default'))).rejects.toThrow('got 0');
  });

  test('a layer whose gradient is zero everywhere is named', async () => {
    const blind = new Map(model.parameters);
    const head = blind.get('head.weight')!;
    blind.set('head.weight', { ...head, values: new Float32Array(head.values.length) });
    const failed = calibrate(shared.gpu, { ...model, parameters: blind }, images, calibrationOptions('default'));
    await expect(failed).rejects.toThrow(CalibrationError);
    await expect(failed).rejects.toThrow(/^blocks\.1\.mlp\.fc2: the gradient of its output .* 0;/);
  });
});
