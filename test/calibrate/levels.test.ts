import { beforeAll, expect, test } from 'vitest';
import { calibrate, type CalibrationResult } from '../../src/calibrate/calibrate.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { ShapedQuantizer } from '../../src/calibrate/options.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { parseRecipe } from '../../src/calibrate/readRecipe.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import type { Model } from '../../src/model/load.ts';
import { createFloatRunner, createSimulation } from '../../src/simulate/simulate.ts';
import { nmse, useGpu } from '../support/device.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const shared = useGpu();
const FAMILIES = ['uniform', 'twin', 'log2', 'adaptive-log', 'best'] as const;
let model: Model;
let images: CalibrationImage[];
const calibrations = new Map<ShapedQuantizer, CalibrationResult>();

beforeAll(async () => {
  model = await sampleModel();
  images = await sampleImages(model, 'calib', 2);
  for (const shaped of FAMILIES) {
    // two layers have the family, 4 bits and a search as it is; the others cost next to nothing
    const shapes = {
      softmax: shaped,
      gelu: shaped,
      activationBits: 4,
      search: 'coarse-to-fine',
      candidates: 4,
    } as const;
    const layers = ['blocks.1.attn.pv', 'blocks.1.mlp.fc2'].map((pattern) => ({ pattern, options: shapes }));
    const alone = { compensation: 'none', rounding: 'nearest', biasCorrection: 'none' } as const; // the search's own scores
    const quick = { search: 'exhaustive', alpha: 0.8, candidates: 2, rounds: 1, ...alone, layers } as const;
    const options = calibrationOptions('default', quick);
    calibrations.set(shaped, await calibrate(shared.gpu, model, images, options));
  }
});

const recipeOf = (shaped: ShapedQuantizer) => (calibrations.get(shaped) as CalibrationResult).recipe;
/** Layers after softmax and GELU. */
const shapedLayers = (shaped: ShapedQuantizer) =>
  recipeOf(shaped).layers.filter(({ name }) => /blocks\.1\.(attn\.pv|mlp\.fc2)/.test(name));

test('every family is found where it was asked for, and survives its text', () => {
  for (const shaped of FAMILIES) {
    expect(parseRecipe(recipeText(recipeOf(shaped)), 'recipe.json')).toEqual(recipeOf(shaped));
    for (const { name, a } of shapedLayers(shaped)) {
      const operand = name.endsWith('pv') ? 'softmax' : 'gelu';
      if (shaped === 'uniform') expect(a.type).toBe('uniform');
      else if (shaped === 'twin') expect(a.type).toBe(`twin-${operand}`);
      else if (shaped !== 'best') expect(a).toMatchObject({ type: 'levels', operand, family: shaped });
    }
  }
});

test('best is the family of the lowest score in every layer', () => {
  const chosen = shapedLayers('best').map((layer, i) => {
    const alone = FAMILIES.slice(0, 4).map((shaped) => shapedLayers(shaped)[i]);
    const lowest = Math.min(...alone.map((other) => other?.score as number));
    expect(layer.score, layer.name).toBe(lowest);
    expect(layer, layer.name).toEqual(alone.find((other) => other?.score === lowest));
    return layer.a;
  });
  expect(chosen.some(({ type }) => type === 'levels')).toBe(true);
});

test('at 4 bits the logits of log levels are nearer to those of the float network than those of twin ranges', async () => {
  const rgb = images.map((image) => image.rgb);
  const float = await createFloatRunner(shared.gpu, model);
  const wanted = await float.logits(rgb);
  float.destroy();
  const error = async (shaped: ShapedQuantizer) => {
    const calibration = calibrations.get(shaped) as CalibrationResult;
    const runner = await createSimulation(shared.gpu, model, calibration.recipe, quantizedWeightsFile(calibration));
    const logits = await runner.logits(rgb);
    runner.destroy();
    return nmse(logits, wanted);
  };
  const [twin, adaptive, best] = [await error('twin'), await error('adaptive-log'), await error('best')];
  expect(adaptive).toBeLessThan(twin);
  expect(best).toBeLessThan(twin);
});
