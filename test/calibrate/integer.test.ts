import { beforeAll, describe, expect, test } from 'vitest';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { CalibrationError } from '../../src/calibrate/errors.ts';
import { checkRecipeFits } from '../../src/calibrate/fitRecipe.ts';
import { inputRows, observeUnit, startStatistics } from '../../src/calibrate/forwardStatistics.ts';
import { integerRecipe } from '../../src/calibrate/integerRecipe.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { NONLINEAR_METHODS, type LayerRecipe, type Recipe } from '../../src/calibrate/recipe.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { referenceEngine } from '../../src/infer/referenceEngine.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { modelSizes } from '../../src/model/config.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';
import { forwardUnit, ParameterStore } from '../../src/model/execute.ts';
import { searchedLayers, type Network } from '../../src/model/graph.ts';
import { loadModel, type Model } from '../../src/model/load.ts';
import { parameterShapes } from '../../src/model/parameters.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { createSimulation } from '../../src/simulate/simulate.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';
import { TINY_CONFIG } from '../support/tinyModel.ts';

const shared = useGpu();
const QUICK = { candidates: 3, rounds: 1 };
let distilled: Model;
let images: CalibrationImage[];
beforeAll(async () => {
  const configJson = JSON.stringify({ ...TINY_CONFIG, architecture: 'deit_tiny_distilled_patch16_224' });
  const config = parseConfig(configJson, 'config.json');
  const tensors = [...parameterShapes(config)].map(([name, shape], i) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const gain = /norm\d?\.weight$/.test(name) ? 1 : 0;
    return { name, dtype: 'F32' as const, shape, data: noise(count, i, 0.4).map((v) => gain + v) };
  });
  distilled = await loadModel({ configJson, weights: writeSafetensors(tensors) });
  images = [1, 2, 3].map((seed) => ({
    file: `${seed}.png`,
    sha256: String(seed).repeat(64),
    rgb: Uint8Array.from(noise(3 * 32 * 32, seed, 127), (v) => v + 128),
  }));
});

/** Largest magnitude of every tensor of a network over `images`, each image by itself, taken on the host. */
async function largestMagnitudes(model: Model): Promise<Map<string, number>> {
  using parameters = new ParameterStore(shared.pool, model);
  const context = { device: shared.device, pool: shared.pool, parameters };
  const largest = new Map<string, number>();
  for (const { rgb } of images) {
    let values: Float32Array = unfoldPatches(normalizePixels(rgb, model.config.preprocessing), model.config);
    for (const unit of model.network.units) {
      const scope = shared.pool.scope();
      const tensors = await forwardUnit(context, unit, scope.upload(values, 'input'), 1, scope);
      for (const [tensor, buffer] of tensors) {
        const seen = await readF32(shared.device, buffer, unit.elements[tensor] as number);
        const name = `${unit.name}.${tensor}`;
        largest.set(
          name,
          seen.reduce((most, x) => Math.max(most, Math.abs(x)), largest.get(name) ?? 0),
        );
        if (tensor === unit.output) values = seen;
      }
      scope.release();
    }
  }
  return largest;
}

describe('ranges', () => {
  test('are exactly the largest magnitudes of the float forward pass, whatever the chunks', async () => {
    const expected = await largestMagnitudes(distilled);
    const scores = expected.get('blocks.0.scores') as number;
    expected.set('blocks.0.scores', scores * 8 ** -0.5); // heads of 8 features
    const names =
      'embed.patch_embed embed.y blocks.0.x blocks.0.scores blocks.0.attn blocks.0.residual blocks.0.fc1 ' +
      'blocks.0.fc2 blocks.0.y head.x head.head head.head_dist head.logits';
    for (const chunk of [3, 2, 1]) {
      const { recipe } = await calibrate(
        shared.gpu,
        distilled,
        images,
        { ...calibrationOptions('default'), ...QUICK },
        {},
        chunk,
      );
      const { ranges } = recipe.integer;
      expect(Object.keys(ranges).sort()).toEqual(names.split(' ').sort());
      for (const [name, range] of Object.entries(ranges)) expect(range, name).toBe(expected.get(name));
      expect(new Set(Object.values(ranges)).size).toBeGreaterThan(10);
    }
  });

  test('values that are not finite are refused with their tensor', async () => {
    const damaged = new Map(distilled.parameters);
    const position = damaged.get('pos_embed')!;
    damaged.set('pos_embed', { ...position, values: position.values.map((v, i) => (i === 17 ? Infinity : v)) });
    const failed = calibrate(shared.gpu, { ...distilled, parameters: damaged }, images, calibrationOptions('default'));
    await expect(failed).rejects.toThrow(CalibrationError);
    await expect(failed).rejects.toThrow(/^embed\.y holds values that are not finite/);
  });
});

describe('the rows that errors are measured on', () => {
  const [rows, columns] = [37, 21];
  const view = { tensor: 'probs', offset: 0, headStride: rows * columns, rowStride: columns, columnStride: 1 };
  const network: Network = {
    numClasses: 1,
    units: [
      {
        name: 'only',
        input: 'scores',
        output: 'context',
        elements: { scores: rows * columns, probs: rows * columns, context: rows },
        operations: [
          { kind: 'softmax', name: 'softmax', input: 'scores', output: 'probs', rows, columns, scale: 0.5 },
          {
            ...{
              kind: 'matmul',
              name: 'pv',
              windows: 1,
              heads: 1,
              rows,
              depth: columns,
              columns: 1,
              operand: 'post-softmax',
            },
            ...{ a: view, b: { ...view, tensor: 'scores' }, output: { ...view, tensor: 'context' } },
          },
        ],
      },
    ],
  };
  const unit = network.units[0]!;

  /** Sampled rows of `count` images in chunks of `chunk`; element (row, column) of all images is row + column / 64. */
  async function sample(count: number, chunk: number, change: (values: Float32Array) => void = () => undefined) {
    const all = Float32Array.from(
      { length: count * rows * columns },
      (_, i) => Math.floor(i / columns) + (i % columns) / 64,
    );
    change(all);
    const statistics = startStatistics(network, count);
    for (let firstImage = 0; firstImage < count; firstImage += chunk) {
      const scope = shared.pool.scope();
      const inChunk = Math.min(chunk, count - firstImage);
      const part = all.slice(firstImage * rows * columns, (firstImage + inChunk) * rows * columns);
      const scores = scope.upload(part, 'scores');
      const context = scope.zeros(4 * inChunk * rows, 'context');
      const tensors = new Map([
        ['scores', scores],
        ['context', context],
      ]);
      await observeUnit(shared, statistics, unit, tensors, { firstImage, images: inChunk });
      scope.release();
    }
    const values = inputRows(statistics.samples[0]!).values;
    return { values, range: statistics.ranges.get('only.scores'), numbers: rowNumbers(values) };
  }

  /** Row numbers by the first element; the rest of each row must be whole. */
  function rowNumbers(values: Float32Array): number[] {
    return Array.from({ length: values.length / columns }, (_, i) => {
      const [first, ...others] = values.subarray(i * columns, (i + 1) * columns);
      others.forEach((value, column) => expect(value - (first as number)).toBe((column + 1) / 64));
      return first as number;
    });
  }

  test('are all of them when they are few', async () => {
    const { numbers } = await sample(6, 4);
    expect(numbers).toEqual(Array.from({ length: 6 * rows }, (_, row) => row));
  });

  test('are at most 256, of every image and of every place in it, with the largest', async () => {
    const { numbers, range } = await sample(40, 40);
    const total = 40 * rows;
    expect(numbers.length).toBeGreaterThan(240);
    expect(numbers.length).toBeLessThanOrEqual(256);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers).toContain(total - 1);
    expect(new Set(numbers.map((row) => Math.floor(row / rows))).size).toBe(40);
    expect(new Set(numbers.map((row) => row % rows)).size).toBe(rows);
    expect(range).toBe((total - 1 + 20 / 64) * 0.5);
  });

  test.each([1, 7, 39])('do not depend on chunks of %d', async (chunk) => {
    const whole = await sample(40, 40);
    expect(await sample(40, chunk)).toEqual(whole);
  });

  test('hold the row of the largest magnitude of whatever sign, the first of equals', async () => {
    const plain = await sample(40, 40);
    const wanted = [100, 200, 1000].map((row) => (plain.numbers.includes(row) ? row + 1 : row));
    expect(plain.numbers.filter((row) => wanted.includes(row))).toEqual([]);
    const [, second = 0, third = 0] = wanted;
    const last = columns - 1;
    const plant = (values: Float32Array) => {
      for (let column = 0; column < columns; column++) {
        values[second * columns + column] = -5000 + column / 64;
        values[third * columns + column] = 5000 + (column - last) / 64;
      }
    };
    const whole = await sample(40, 40, plant);
    expect(whole.numbers.filter((first) => Math.abs(first) > 4000)).toEqual([-5000]);
    expect(await sample(40, 3, plant)).toEqual(whole);
  });

  test('are of all places even where an image is exactly a share', async () => {
    const { numbers } = await sample(255, 255);
    expect(new Set(numbers.map((row) => Math.floor(row / rows))).size).toBe(255);
    expect(new Set(numbers.map((row) => row % rows)).size).toBe(rows);
  });
});

describe('methods', () => {
  let model: Model;
  let recipe: Recipe;
  beforeAll(async () => {
    model = await sampleModel();
    const few = await sampleImages(model, 'calib', 3);
    ({ recipe } = await calibrate(shared.gpu, model, few, { ...calibrationOptions('default'), ...QUICK }));
  });

  test('every nonlinear operation is listed in the order of the forward pass, the least error chosen', () => {
    const { nonlinear } = recipe.integer;
    const names = nonlinear.map(({ kind, name }) => `${kind} ${name}`);
    expect(names.slice(0, 4)).toEqual([
      'layerNorm blocks.0.norm1',
      'softmax blocks.0.attn.softmax',
      'layerNorm blocks.0.norm2',
      'gelu blocks.0.mlp.gelu',
    ]);
    expect(names).toHaveLength(4 * modelSizes(model.config).depth + 1);
    expect(names.at(-1)).toBe('layerNorm norm');
    for (const { name, kind, method, errors } of nonlinear) {
      const order = kind === 'layerNorm' ? (['shift', 'shift-fixed'] as const) : NONLINEAR_METHODS;
      const least = Math.min(...order.map((each) => errors[each] ?? Infinity));
      expect(errors[method], name).toBe(least);
      expect(order, name).toContain(method); // of equals the cheapest
      if (kind === 'layerNorm')
        expect([errors.poly, errors.lut]).toEqual([errors['shift-fixed'], errors['shift-fixed']]);
    }
  });

  test('tables and exact roots leave little more than the error of 8-bit codes; I-ViT as published leaves more', () => {
    const worst = { softmax: 0, gelu: 0, layerNorm: 0 };
    for (const { name, kind, errors } of recipe.integer.nonlinear) {
      const best = errors[kind === 'layerNorm' ? 'shift-fixed' : 'lut'] as number;
      expect(best, name).toBeGreaterThan(1e-7);
      expect(best, name).toBeLessThan(2e-3);
      if (errors.shift !== null) expect(errors.shift, name).toBeGreaterThanOrEqual(best);
      worst[kind] = Math.max(worst[kind], (errors.shift ?? 0) / best);
    }
    for (const kind of ['softmax', 'gelu'] as const) expect(worst[kind], kind).toBeGreaterThan(3);
  });

  test('a norm with two readers is measured under both, a method without integers has no error', async () => {
    const statistics = startStatistics(distilled.network, images.length);
    const options = calibrationOptions('default', { ...QUICK, folding: 'none', biasCorrection: 'none' });
    const whole = await calibrate(shared.gpu, distilled, images, options);
    using parameters = new ParameterStore(shared.pool, distilled);
    const context = { device: shared.device, pool: shared.pool, parameters };
    let values = Float32Array.from(
      images.flatMap(({ rgb }) => [
        ...unfoldPatches(normalizePixels(rgb, distilled.config.preprocessing), distilled.config),
      ]),
    );
    for (const unit of distilled.network.units) {
      const scope = shared.pool.scope();
      const tensors = await forwardUnit(context, unit, scope.upload(values, 'input'), images.length, scope);
      await observeUnit(context, statistics, unit, tensors, { firstImage: 0, images: images.length });
      const count = images.length * (unit.elements[unit.output] as number);
      values = Float32Array.from(await readF32(shared.device, tensors.get(unit.output) as GPUBuffer, count));
      scope.release();
    }
    const { layers, integer } = whole.recipe;
    expect(integerRecipe(distilled, statistics, layers)).toEqual(integer);
    expect(integer.nonlinear.map(({ name }) => name).filter((name) => name === 'norm')).toHaveLength(1);
    const narrow = { ...statistics, ranges: new Map([...statistics.ranges, ['blocks.0.fc1', 0.1]]) };
    const gelu = integerRecipe(distilled, narrow, layers).nonlinear.find(({ kind }) => kind === 'gelu');
    expect(gelu?.errors.shift).toBeNull(); // its 8-bit step is too fine for ShiftGELU
    expect(gelu?.errors.lut).not.toBeNull();
    for (const coarse of ['head', 'head_dist']) {
      const changed = layers.map((layer) => (layer.name === coarse ? { ...layer, a: coarser(layer) } : layer));
      const found = integerRecipe(distilled, statistics, changed).nonlinear.at(-1);
      expect(found?.name).toBe('norm');
      expect(found?.errors.lut, coarse).toBeGreaterThan(20 * (integer.nonlinear.at(-1)?.errors.lut as number));
    }
  });

  function coarser({ a }: LayerRecipe): LayerRecipe['a'] {
    if (a.type !== 'uniform') throw new Error(`${a.type} before a head`);
    return { ...a, scales: a.scales.map((scale) => 20 * scale) };
  }

  test.each([
    ['base', ['blocks.0.norm1', 'blocks.0.attn.softmax', 'blocks.0.norm2', 'blocks.0.mlp.gelu', 'norm']],
    ['reference', ['blocks.0.norm1', 'blocks.0.norm2', 'norm']],
  ] as const)('a recipe of preset %s lists what has an integer form, and fits its model', async (preset, names) => {
    const { recipe } = await calibrate(shared.gpu, distilled, images, calibrationOptions(preset, QUICK));
    expect(recipe.integer.nonlinear.map(({ name }) => name)).toEqual(names);
    expect(() => checkRecipeFits(recipe, 'r.json', distilled, 'm')).not.toThrow();
  });

  test('a recipe fits its model, and is refused without a norm', () => {
    const target = { network: model.network, weightsSha256: model.weightsSha256 };
    expect(() => checkRecipeFits(recipe, 'r.json', target, 'm')).not.toThrow();
    expect(searchedLayers(model.network)).toHaveLength(recipe.layers.length);
    const { integer } = recipe;
    const nonlinear = integer.nonlinear.filter(({ name }) => name !== 'blocks.2.norm1');
    const without = { ...recipe, integer: { ...integer, nonlinear } };
    expect(() => checkRecipeFits(without, 'r.json', target, 'm')).toThrow(
      'integer.nonlinear has no layerNorm blocks.2.norm1',
    );
  });
});

test('levels and zero points of a calibration run in integers, close to its simulation', async () => {
  const options = calibrationOptions('fast', {
    ...QUICK,
    softmax: 'adaptive-log',
    gelu: 'log2',
    activationOffset: 'zero-point',
  });
  const result = await calibrate(shared.gpu, distilled, images, options);
  const { recipe } = result;
  const weights = quantizedWeightsFile(result);
  const file = { recipeText: 'text', weightsFile: 'weights.safetensors', writtenBy: 'test' };
  const integer = await exportModel({ recipe, weights, ...file });
  const kinds = Object.values(integer.program.tensors).map(({ codes }) => codes?.kind);
  expect(kinds).toContain('levels-softmax');
  expect(kinds).toContain('levels-gelu');
  const simulation = await createSimulation(shared.gpu, distilled, recipe, weights);
  const wanted = await simulation.logits(images.map(({ rgb }) => rgb));
  simulation.destroy();
  const engine = referenceEngine(integer);
  const pixels = Uint8Array.from(images.flatMap(({ rgb }) => [...rgb]));
  const found = Float64Array.from(await engine.run(pixels, images.length), (logit) => logit * engine.logitScale);
  let [signal, noise] = [0, 0];
  wanted.forEach((value, i) => {
    signal += value ** 2;
    noise += (value - (found[i] as number)) ** 2;
  });
  expect(10 * Math.log10(signal / noise)).toBeGreaterThan(20);
});
