import { describe, expect, test } from 'vitest';
import type { LayerRecipe, Recipe } from '../../../src/calibrate/recipe.ts';
import { exportFloatOnnx, exportOnnx, fileOf } from '../../../src/export/onnx/exportOnnx.ts';
import { normalizePixels } from '../../../src/io/preprocess.ts';
import type { Model } from '../../../src/model/load.ts';
import { parseConfig } from '../../../src/model/parseConfig.ts';
import { unfoldPatches } from '../../../src/model/patches.ts';
import type { LeftQuantizer } from '../../../src/quantize/floatQuantizer.ts';
import { logLevels } from '../../../src/quantize/levels.ts';
import { steps, type ActivationQuantizer } from '../../../src/quantize/quantizer.ts';
import { doubleForward } from '../../support/doubleForward.ts';
import { noise } from '../../support/floats.ts';
import { tinyModel } from '../../support/goldenModel.ts';
import { hostRecipe } from '../../support/hostRecipe.ts';
import { checkerComplaint, onnxLogits, readOnnx } from '../../support/onnx.ts';
import { quantizedForward } from '../../support/quantizedForward.ts';
import { randomModel } from '../../support/randomModel.ts';
import { sampleImages, sampleModel } from '../../support/sample.ts';
import { TINY_CONFIG } from '../../support/tinyModel.ts';

const MODELS: Readonly<Record<string, () => Promise<Model>>> = {
  'a ViT': async () => (await tinyModel('vit-plain')).model,
  'a distilled ViT': async () => (await tinyModel('vit-distilled')).model,
  'a ViT with normalised keys and average pooling': () =>
    configured('vit_tiny_patch16_224', {
      ...{ patch_size: 4, depth: 1, num_heads: 2, global_pool: 'avg', reg_tokens: 2, qk_norm: true },
    }),
  'a Swin with padded and shifted windows': () =>
    configured('swin_tiny_patch4_window7_224', { depths: [2, 1], num_heads: [2, 4], window_size: 3 }),
};

/** A random model of 28 x 28 pixels and 16 features whose config is timm's. */
function configured(architecture: string, sizes: Readonly<Record<string, unknown>>): Promise<Model> {
  const json = {
    ...{ architecture, num_classes: 10, model_args: { img_size: 28, embed_dim: 16, mlp_ratio: 2, ...sizes } },
    pretrained_cfg: { ...TINY_CONFIG.pretrained_cfg, input_size: [3, 28, 28] },
  };
  const config = parseConfig(JSON.stringify(json), 'config.json');
  return Promise.resolve(randomModel(config));
}

/** Other images for the ranges than for the comparison: what holds a range just so lies on a border of two codes. */
function noiseOf({ config }: Model, count: number, seed: number): Uint8Array[] {
  const size = 3 * config.imageSize ** 2;
  return Array.from({ length: count }, (_, i) =>
    Uint8Array.from(noise(size, seed + i, 100 + i), (x) => Math.round(x + 127.5)),
  );
}

/** Signal over noise in dB of each row of logits; a single value that falls on the other side of a border costs a row tens of dB. */
function rowSqnrs(wanted: readonly Float64Array[], got: Float32Array): number[] {
  return wanted.slice(0, got.length / wanted[0]!.length).map((row, i) => {
    let [signal, noiseSum] = [0, 0];
    row.forEach((value, k) => {
      signal += value ** 2;
      noiseSum += (value - got[i * row.length + k]!) ** 2;
    });
    return 10 * Math.log10(signal / noiseSum);
  });
}

const middle = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const exported = (recipe: Recipe, weights: Uint8Array) =>
  exportOnnx({ recipe, weights, weightsFile: 'weights.safetensors', version: '1.2.3' });

describe.each(Object.entries(MODELS))('%s', (_name, load) => {
  test('in float gives our logits, whatever the batch', async () => {
    const model = await load();
    const images = noiseOf(model, 3, 1);
    const file = exportFloatOnnx(model, '1.2.3');
    expect(checkerComplaint(file)).toBe('');
    const patches = (rgb: Uint8Array) => unfoldPatches(normalizePixels(rgb, model.config.preprocessing), model.config);
    const wanted = images.map((rgb) => doubleForward(model, patches(rgb)));
    const got = await onnxLogits(file, model, images);
    expect(Math.min(...rowSqnrs(wanted, got))).toBeGreaterThan(100);
    const [alone] = rowSqnrs(wanted, await onnxLogits(file, model, images.slice(0, 1)));
    expect(alone).toBeGreaterThan(100);
  });

  test.each([
    { weightBits: 8, activationBits: 8 },
    { weightBits: 4, activationBits: 6 },
  ])('quantized to $weightBits and $activationBits bits gives the logits of the recipe', async (widths) => {
    const model = await load();
    const images = noiseOf(model, 5, 1);
    const { recipe, weights } = hostRecipe(model, noiseOf(model, 2, 50), widths);
    const file = exported(recipe, weights);
    expect(checkerComplaint(file)).toBe('');
    const sqnrs = rowSqnrs(
      images.map((rgb) => quantizedForward(model, recipe, weights, rgb)),
      await onnxLogits(file, model, images),
    );
    expect(middle(sqnrs)).toBeGreaterThan(80);
    expect(Math.min(...sqnrs)).toBeGreaterThan(15);
  });
});

/** Another left quantizer in the place of one, or undefined. */
type Exchange = (layer: LayerRecipe) => LeftQuantizer | undefined;
const ofType =
  (type: LeftQuantizer['type'], exchange: Exchange): Exchange =>
  (layer) =>
    layer.a.type === type ? exchange(layer) : undefined;
const stepOf = ({ a }: LayerRecipe) => steps(a as ActivationQuantizer)[0]!;
const isLinear = (layer: LayerRecipe) => layer.kind === 'linear' && layer.a.type === 'uniform';

const EXCHANGES: Readonly<Record<string, Exchange>> = {
  'a zero point': (layer) => (isLinear(layer) ? ({ ...layer.a, zeroPoint: 21 } as LeftQuantizer) : undefined),
  'a scale for each token': (layer) => (isLinear(layer) ? { type: 'per-token', bits: 8, restricted: true } : undefined),
  'blocks of inputs': (layer) =>
    isLinear(layer)
      ? { type: 'block', bits: 8, rowBlocks: 1, columnBlocks: 2, scales: [stepOf(layer), 2 * stepOf(layer)] }
      : undefined,
  'levels of probabilities': ofType('twin-softmax', () =>
    logLevels({ operand: 'softmax', family: 'adaptive-log', bits: 6 }, { octaves: 0.4, negatives: 0 }, 1, 16_383),
  ),
  'levels of GELU': ofType('twin-gelu', (layer) =>
    logLevels(
      { operand: 'gelu', family: 'log2', bits: 8 },
      { octaves: 0.1, negatives: 9 },
      500 * stepOf(layer),
      16_256,
    ),
  ),
  'added probabilities': ofType('twin-softmax', () => ({ type: 'published-softmax', bits: 8, split: 0.06 })),
  'untied GELU': ofType('twin-gelu', (layer) => {
    return { type: 'published-gelu', bits: 8, scales: [4 * stepOf(layer), 5 * stepOf(layer)], negativeScale: 0.0013 };
  }),
};

describe('in a network of twin ranges', () => {
  const compare = async (change: (layer: LayerRecipe) => LayerRecipe) => {
    const { model } = await tinyModel('vit-plain');
    const images = noiseOf(model, 5, 1);
    const { recipe, weights } = hostRecipe(model, noiseOf(model, 2, 50));
    const layers = recipe.layers.map(change);
    expect(layers).not.toEqual(recipe.layers);
    const changed = { ...recipe, layers };
    const file = exported(changed, weights);
    expect(checkerComplaint(file)).toBe('');
    const wanted = images.map((rgb) => quantizedForward(model, changed, weights, rgb));
    return middle(rowSqnrs(wanted, await onnxLogits(file, model, images)));
  };

  test.each(Object.entries(EXCHANGES))('%s in their place give the logits of the recipe', async (_name, exchange) => {
    expect(await compare((layer) => ({ ...layer, a: exchange(layer) ?? layer.a }))).toBeGreaterThan(80);
  });

  test('weights in blocks give the logits of the recipe', async () => {
    const inBlocks = (layer: LayerRecipe): LayerRecipe => {
      if (layer.kind !== 'linear') return layer;
      const scale = layer.b.scales[0]!;
      const scales = [scale, 1.1 * scale, 0.9 * scale, 1.2 * scale, 0.7 * scale, scale].map(Math.fround);
      return { ...layer, b: { type: 'block', bits: 8, rowBlocks: 3, columnBlocks: 2, scales } };
    };
    expect(await compare(inBlocks)).toBeGreaterThan(80);
  });
});

test('the embedded sample quantized to 8 bits gives the logits of the recipe', async () => {
  const model = await sampleModel();
  const images = (await sampleImages(model, 'eval', 1)).map(({ rgb }) => rgb);
  const calibration = (await sampleImages(model, 'calib', 1)).map(({ rgb }) => rgb);
  const { recipe, weights } = hostRecipe(model, calibration);
  const got = await onnxLogits(exported(recipe, weights), model, images);
  expect(
    Math.min(
      ...rowSqnrs(
        images.map((rgb) => quantizedForward(model, recipe, weights, rgb)),
        got,
      ),
    ),
  ).toBeGreaterThan(35);
});

describe('a quantized file', async () => {
  const { model } = await tinyModel('vit-plain');
  const { recipe, weights } = hostRecipe(model, noiseOf(model, 2, 50), { weightBits: 4 });
  const file = readOnnx(exported(recipe, weights));

  test('states its versions, and how to make its input', () => {
    expect([file.irVersion, file.opsets]).toEqual([8, { '': 17 }]);
    expect(JSON.parse(file.metadata['twinshift.preprocessing']!)).toEqual(model.config.preprocessing);
    expect(file.metadata['twinshift.weightsSha256']).toBe(model.weightsSha256);
  });

  test('has weights of int8 within their width with a scale a channel, and int32 biases, neither with a zero point', () => {
    const dequantized = file.nodes.filter(({ operator }) => operator === 'DequantizeLinear');
    const linear = recipe.layers.filter(({ kind }) => kind === 'linear');
    for (const { name, b } of linear) {
      const [codes, scales] = [`${name}.codes`, `${name}.scales`].map((constant) => file.constants.get(constant)!);
      expect([codes!.type, scales!.type]).toEqual([3, 1]);
      expect(scales!.shape).toEqual(codes!.shape.slice(1));
      const limit = 2 ** (b.bits - 1);
      expect(new Int8Array(codes!.bytes.slice().buffer).every((code) => code >= -limit && code < limit)).toBe(true);
      expect(dequantized).toContainEqual(
        expect.objectContaining({ inputs: [`${name}.codes`, `${name}.scales`], integers: { axis: 1 } }),
      );
    }
    const biases = [...file.constants].filter(([name]) => name.endsWith('.bias') && !name.includes('norm'));
    expect(biases).toHaveLength(linear.length - model.network.units.length + 2); // q, k and v have none
    for (const [name, { type }] of biases) {
      expect(type).toBe(6);
      expect(dequantized).toContainEqual(expect.objectContaining({ inputs: [name, `${name}Scales`] }));
    }
    expect(linear).toHaveLength(2 + 4 * model.network.units.filter(({ name }) => name.startsWith('blocks')).length);
  });

  test('multiplies nothing but what DequantizeLinear makes of one scale', () => {
    const makers = new Map(file.nodes.map((node) => [node.output, node]));
    const products = file.nodes.filter(({ operator }) => operator === 'MatMul');
    const operands = products.flatMap(({ inputs }) => inputs.map((input) => makers.get(input)));
    expect(new Set(operands.map((node) => node?.operator))).toEqual(new Set(['DequantizeLinear']));
    const ofActivations = operands.filter((node) => !file.constants.has(node!.inputs[0]!));
    expect(ofActivations.every((node) => file.constants.get(node!.inputs[1]!)!.shape.length === 0)).toBe(true);
  });

  test('is the same for the same recipe, and refused without one of its layers', () => {
    expect(exported(recipe, weights)).toEqual(exported(recipe, weights));
    const short = { ...recipe, layers: recipe.layers.slice(1) };
    expect(() => exported(short, weights)).toThrow('the recipe has no layer patch_embed');
  });

  test('of 2 GiB is refused', () => {
    expect(() => fileOf({ bytes: 2 ** 31, pieces: [] })).toThrow('holds 2147483647 bytes, this model has 2147483648');
    expect(fileOf({ bytes: 2, pieces: [Uint8Array.of(1), Uint8Array.of(2)] })).toEqual(Uint8Array.of(1, 2));
  });
});
