import { describe, expect, test } from 'vitest';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import type { NonlinearChoice } from '../../src/export/nonlinear.ts';
import { readModelFile } from '../../src/format/readModelFile.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import type { Model } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { noise } from '../support/floats.ts';
import { tinyModel } from '../support/goldenModel.ts';
import { hostRecipe } from '../support/hostRecipe.ts';

const IMAGES = 4;

function picturesFor({ config }: Model): Uint8Array[] {
  const size = 3 * config.imageSize ** 2;
  return Array.from({ length: IMAGES }, (_, i) =>
    Uint8Array.from(noise(size, i + 1, 127), (x) => Math.round(x + 127.5)),
  );
}

async function exported(
  model: Model,
  nonlinear?: NonlinearChoice,
  change: (recipe: Recipe) => Recipe = (same) => same,
) {
  const { recipe, weights } = hostRecipe(model, picturesFor(model));
  return exportModel({
    recipe: change(recipe),
    recipeText: 'text',
    weights,
    weightsFile: 'weights.safetensors',
    writtenBy: 'test',
    ...(nonlinear ? { nonlinear } : {}),
  });
}

/** Signal to noise in dB of the integer logits against the float network in double. */
async function quality(model: Model, bytes: Uint8Array): Promise<number> {
  const engine = createReferenceEngine(bytes, 'model');
  let [signal, error] = [0, 0];
  for (const rgb of picturesFor(model)) {
    const logits = await engine.run(rgb, 1);
    const wanted = doubleForward(model, unfoldPatches(normalizePixels(rgb, model.config.preprocessing), model.config));
    wanted.forEach((value, i) => {
      signal += value ** 2;
      error += (value - logits[i]! * engine.logitScale) ** 2;
    });
  }
  return 10 * Math.log10(signal / error);
}

describe.each(['vit-plain', 'vit-distilled'] as const)('%s', (name) => {
  test('its integers follow the float network, and the file holds all of them', async () => {
    const { model } = await tinyModel(name);
    const integer = await exported(model);
    const bytes = writeModelFile(integer);
    expect(readModelFile(bytes, 'model')).toEqual(integer);
    expect(await quality(model, bytes)).toBeGreaterThan(25);
  });

  test.each([
    ['shift-fixed', 20],
    ['poly', 20],
    ['shift', 5],
  ] as const)('with %s everywhere', async (method, least) => {
    const { model } = await tinyModel(name);
    const integer = await exported(model, { softmax: method, gelu: method, layerNorm: method });
    const used = integer.program.operations.flatMap((operation) =>
      operation.kind === 'softmax' || operation.kind === 'gelu' ? [operation.constants.method] : [],
    );
    expect(new Set(used)).toEqual(new Set([method]));
    expect(await quality(model, writeModelFile(integer))).toBeGreaterThan(least);
  });
});

describe('a recipe without an integer form is refused', () => {
  const refused = async (change: (recipe: Recipe) => Recipe) => {
    const { model } = await tinyModel('vit-plain');
    return exported(model, undefined, change);
  };
  const changed = (recipe: Recipe, integer: Partial<Recipe['integer']>) => ({
    ...recipe,
    integer: { ...recipe.integer, ...integer },
  });

  test.each<[string, (recipe: Recipe) => Recipe, RegExp]>([
    [
      'no range of a 16-bit tensor',
      (recipe) => changed(recipe, { ranges: {} }),
      /no range of embed\.(y|patch_embed); quantize this model again/,
    ],
    [
      'no measured nonlinearity',
      (recipe) => changed(recipe, { nonlinear: [] }),
      /no measured layerNorm blocks\.0\.norm1; quantize this model again/,
    ],
    [
      'uniform codes after softmax',
      (recipe) => ({
        ...recipe,
        layers: recipe.layers.map((layer) =>
          layer.a.type === 'twin-softmax'
            ? { ...layer, a: { type: 'uniform', bits: 8, granularity: 'tensor', scales: [0.01] } as const }
            : layer,
        ),
      }),
      /blocks\.0\.attn\.softmax: integer inference needs twin ranges after softmax, the recipe has none \(uniform\)/,
    ],
    [
      'a missing layer',
      (recipe) => ({ ...recipe, layers: recipe.layers.filter(({ name }) => !name.endsWith('proj')) }),
      /no layer blocks\.0\.attn\.proj; quantize this model again/,
    ],
  ])('%s', async (_name, change, message) => {
    await expect(refused(change)).rejects.toThrow(message);
    await expect(refused(change)).rejects.toHaveProperty('name', 'ExportError');
  });
});
