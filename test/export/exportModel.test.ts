import { describe, expect, test } from 'vitest';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import type { NonlinearChoice } from '../../src/export/nonlinear.ts';
import { readModelFile } from '../../src/format/readModelFile.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { modelSizes } from '../../src/model/config.ts';
import type { Model } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { storedConfig } from '../../src/model/storedConfig.ts';
import { logLevels } from '../../src/quantize/levels.ts';
import { initialScale, type ActivationQuantizer } from '../../src/quantize/quantizer.ts';
import { loadFrom, tinyVit } from '../support/checkpoints.ts';
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

test('pixels of another range than 0 to 1 go through the integers as through the float network', async () => {
  const preprocessing = { ...tinyVit().preprocessing, rescale: 1 / 127.5 };
  const model = await loadFrom(tinyVit({ preprocessing }), 'Hugging Face');
  const stored = (recipe: Recipe) => ({ ...recipe, model: { ...recipe.model, config: storedConfig(model.config) } });
  const bytes = writeModelFile(await exported(model, {}, stored));
  expect(readModelFile(bytes, 'model').preprocessing.rescale).toBe(1 / 127.5);
  expect(await quality(model, bytes)).toBeGreaterThan(25);
});

/** The quantizers after softmax and GELU in place of the twin ranges of a recipe. */
const after =
  (softmax: ActivationQuantizer, gelu: (largest: number) => ActivationQuantizer) =>
  (recipe: Recipe): Recipe => ({
    ...recipe,
    layers: recipe.layers.map((layer) => {
      const { a } = layer;
      if (a.type === 'twin-softmax') return { ...layer, a: softmax };
      return a.type === 'twin-gelu' ? { ...layer, a: gelu((a.scaleR2 * 255) / 2) } : layer;
    }),
  });
const uniform = (largest: number): ActivationQuantizer => {
  return { type: 'uniform', bits: 8, granularity: 'tensor', scales: [initialScale(largest, 8)] };
};
const levels = (operand: 'softmax' | 'gelu', bits: number, largest: number) => {
  const shape = { octaves: bits === 8 ? 0.08 : 0.5, negatives: operand === 'gelu' ? 2 ** (bits - 2) : 0 };
  return logLevels({ operand, family: 'adaptive-log', bits }, shape, largest, 4096);
};

describe('codes other than twin ranges after softmax and GELU', () => {
  test.each<[string, (recipe: Recipe) => Recipe, number]>([
    ['levels of 8 bits', after(levels('softmax', 8, 1), (largest) => levels('gelu', 8, largest)), 20],
    ['levels of 4 bits', after(levels('softmax', 4, 1), (largest) => levels('gelu', 4, largest)), 10],
    ['uniform', after(uniform(1), uniform), 20],
  ])('%s follow the float network by every method', async (_name, change, least) => {
    const { model } = await tinyModel('vit-plain');
    for (const method of ['lut', 'poly', 'shift-fixed', 'shift'] as const) {
      const integer = await exported(model, { softmax: method, gelu: method }, change);
      const bytes = writeModelFile(integer);
      expect(readModelFile(bytes, 'model')).toEqual(integer);
      expect(await quality(model, bytes), method).toBeGreaterThan(method === 'shift' ? 5 : least);
    }
  });

  test('a scale a head after softmax is kept', async () => {
    const { model } = await tinyModel('vit-plain');
    const heads = Array.from({ length: modelSizes(model.config).heads }, (_, head) => initialScale(1 + head / 4, 8));
    const perHead = { type: 'uniform', bits: 8, granularity: 'head', scales: heads } as const;
    const integer = await exported(model, {}, after(perHead, uniform));
    const { operations, tensors } = integer.program;
    const softmax = operations.find(({ kind }) => kind === 'softmax');
    if (softmax?.kind !== 'softmax') throw new Error('no softmax');
    expect(tensors[softmax.output]?.scales).toEqual(heads);
    const units = softmax.codeRescales?.map(({ multiplier, shift }) => multiplier / 2 ** shift) ?? [];
    units.forEach((unit, head) => expect(unit / (2 ** -24 / (heads[head] as number))).toBeCloseTo(1, 3));
    expect(await quality(model, writeModelFile(integer))).toBeGreaterThan(25);
  });
});

describe('zero points of the inputs of linear layers', () => {
  const shifted = (zero: number) => (recipe: Recipe) => ({
    ...recipe,
    layers: recipe.layers.map((layer) => {
      const { a, kind } = layer;
      if (kind !== 'linear' || a.type === 'pixels') return layer;
      if (a.type === 'uniform') {
        return { ...layer, a: { ...a, scales: [(a.scales[0] as number) * 1.3], zeroPoint: zero } };
      }
      if (a.type !== 'twin-gelu') return layer;
      const scales = [initialScale((a.scaleR2 * 255) / 2, 8)];
      return { ...layer, a: { type: 'uniform', bits: 8, granularity: 'tensor', scales, zeroPoint: -100 } as const };
    }),
  });

  test.each([25, -25])('%i is made up for by biases', async (zero) => {
    const { model } = await tinyModel('vit-plain');
    const integer = await exported(model, {}, shifted(zero));
    const bytes = writeModelFile(integer);
    expect(readModelFile(bytes, 'model')).toEqual(integer);
    expect(await quality(model, bytes)).toBeGreaterThan(22);
    const merged = integer.program.operations.find((one) => one.kind === 'product' && one.rescales !== null);
    expect(merged?.kind === 'product' && merged.bias?.every((bias) => Math.sign(bias) === Math.sign(zero))).toBe(true);
    const gelu = integer.program.operations.find(({ kind }) => kind === 'gelu');
    const codes = gelu?.kind === 'gelu' ? integer.program.tensors[gelu.output]?.codes : undefined;
    expect(codes?.levels).toEqual(Array.from({ length: 256 }, (_, i) => i - 28));
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
      'levels of GELU after softmax',
      after(levels('gelu', 8, 1), uniform),
      /blocks\.0\.attn\.softmax: integer inference has no levels codes of blocks\.0\.attn\.\S+ after softmax/,
    ],
    [
      'two scales after GELU',
      after(uniform(1), () => ({ type: 'uniform', bits: 8, granularity: 'head', scales: [0.01, 0.02] })),
      /blocks\.0\.mlp\.(act|gelu): integer inference has no uniform codes of blocks\.0\.mlp\.fc2 after GELU/,
    ],
    [
      'a zero point after GELU that leaves integers below two planes',
      after(uniform(1), (largest) => ({ ...uniform(largest), zeroPoint: 3 }) as ActivationQuantizer),
      /blocks\.0\.mlp\.(act|gelu): integer inference has no uniform codes of blocks\.0\.mlp\.fc2 after GELU/,
    ],
    [
      'levels so fine that no rescale leads to them',
      after({ ...levels('softmax', 4, 1), step: 2 ** -40 }, uniform),
      /blocks\.0\.attn\.softmax cannot run in integers: a rescale to int16 by 524288 is outside/,
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
