import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { existsIn, inLayout, LAYOUTS, randomTensors } from '../../bench/support/checkpointLayouts.ts';
import { dequantizedCheckpoint } from '../../src/export/dequantizedCheckpoint.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { parseSafetensors, writeSafetensors, type TensorToWrite } from '../../src/io/safetensors.ts';
import type { ModelConfig, SwinConfig } from '../../src/model/config.ts';
import { loadModel } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { tinySwin, tinyVit } from '../support/checkpoints.ts';
import { nmse } from '../support/device.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { noise } from '../support/floats.ts';
import { hostRecipe } from '../support/hostRecipe.ts';
import { quantizedForward } from '../support/quantizedForward.ts';
import { PADDED_SWIN } from '../support/randomModel.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const CONFIGS: Readonly<Record<string, ModelConfig>> = {
  'a ViT': tinyVit(),
  'a distilled ViT': tinyVit({ distilled: true, prefixTokens: 2 }),
  'a ViT with register tokens, layer scale and positions of patches alone': tinyVit({
    ...{ prefixTokens: 3, registerTokens: 2, embedPrefix: false, layerScale: true },
  }),
  'a ViT with normalised queries': tinyVit({ qkNorm: true }),
  'a Swin': tinySwin(),
};
const CASES = Object.entries(CONFIGS).flatMap(([name, config]) =>
  LAYOUTS.filter((layout) => existsIn(config, layout)).map((layout) => [name, layout, config] as const),
);

const noiseOf = (config: ModelConfig, seed: number) =>
  Uint8Array.from(noise(3 * config.imageSize ** 2, seed, 120), (x) => Math.round(x + 127.5));

async function quantized(config: ModelConfig, layout: (typeof LAYOUTS)[number]) {
  const { tensors, ...files } = inLayout(config, randomTensors(config, 7), layout);
  const texts = {
    configJson: JSON.stringify(files.config),
    preprocessorJson: files.processor === undefined ? undefined : JSON.stringify(files.processor),
  };
  const checkpoint = parseSafetensors(writeSafetensors(tensors, { format: 'pt', made: 'here' }), 'model.safetensors');
  const model = await loadModel({ ...texts, weights: writeSafetensors(tensors) });
  const { recipe, weights } = hostRecipe(model, [noiseOf(config, 5)], { weightBits: 4 });
  const input = { recipe, model, checkpoint, weightsFile: 'weights.safetensors', writtenBy: 'test 1' };
  return {
    texts,
    checkpoint,
    model,
    recipe,
    weights,
    write: (from = weights) => dequantizedCheckpoint({ ...input, weights: from }),
  };
}

describe.each(CASES)('%s as %s', (_name, layout, config) => {
  test('keeps names, shapes and buffers, and has the values of the codes', async () => {
    const { texts, checkpoint, model, recipe, weights, write } = await quantized(config, layout);
    const bytes = write();
    const file = parseSafetensors(bytes, 'qdq.safetensors');
    const shapes = (tensors: typeof file.tensors) =>
      [...tensors.values()].map(({ name, shape }) => [name, shape]).sort();
    expect(shapes(file.tensors)).toEqual(shapes(checkpoint.tensors));
    for (const { name, dtype, bytes: own } of checkpoint.tensors.values()) {
      if (dtype !== 'F32') expect(file.tensors.get(name)).toMatchObject({ dtype, bytes: own });
    }
    expect(file.metadata).toMatchObject({ format: 'pt', made: 'here', 'twinshift.writtenBy': 'test 1' });
    expect(JSON.parse(file.metadata['twinshift.layers']!)).toEqual(
      recipe.layers.map(({ name, kind, a, b }) => ({ name, kind, a, b })),
    );

    const rgb = noiseOf(config, 9);
    const again = await loadModel({ ...texts, weights: bytes });
    const patches = unfoldPatches(normalizePixels(rgb, config.preprocessing), config);
    const wanted = quantizedForward(model, recipe, weights, rgb, 'weights');
    const got = doubleForward(again, patches);
    const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(Math.max(...got.map((value, i) => Math.abs(value - wanted[i]!)))).toBeLessThan(1e-5 * largest);
    expect(Math.max(...doubleForward(model, patches).map((value, i) => Math.abs(value - wanted[i]!)))).toBeGreaterThan(
      1e-3 * largest,
    );
  });
});

/** The weights of a recipe in which every layer whose name ends so has this bias. */
function withBias(weights: Uint8Array, ending: string, valueOf: (i: number) => number): Uint8Array {
  const tensors = [...parseSafetensors(weights, 'weights').tensors.values()];
  const biases = tensors.flatMap(({ name, shape }): TensorToWrite[] => {
    if (!name.endsWith(`${ending}.codes`)) return [];
    const data = Float32Array.from({ length: shape[0]! }, (_, i) => valueOf(i));
    return [{ name: name.replace(/codes$/, 'bias'), dtype: 'F32', shape: [data.length], data }];
  });
  return writeSafetensors([...tensors.map((entry) => ({ ...entry, data: entry.bytes })), ...biases]);
}

describe('a bias that the checkpoint has no tensor for', () => {
  test.each<[string, SwinConfig, (typeof LAYOUTS)[number]]>([
    ['windows and merges that fit', tinySwin(), 'timm'],
    ['windows and merges that fit', tinySwin(), 'Hugging Face'],
    ['rows of padding', PADDED_SWIN, 'timm, Swin before 0.9'],
  ])('of a Swin with %s goes into the norm before it', async (_name, config, layout) => {
    const { texts, model, recipe, weights, write } = await quantized(config, layout);
    const merges = model.network.units.filter(({ name }) => name.endsWith('downsample'));
    const merged = merges.flatMap(({ operations: [first] }) =>
      first?.kind === 'gatherRows' ? [...first.indices] : [],
    );
    expect(merged.includes(-1)).toBe(config === PADDED_SWIN);
    const biased = withBias(weights, 'downsample.reduction', (i) => 0.3 * Math.sin(i + 1));
    const again = await loadModel({ ...texts, weights: write(biased) });
    const rgb = noiseOf(config, 9);
    const got = doubleForward(again, unfoldPatches(normalizePixels(rgb, config.preprocessing), config));
    expect(nmse(got, quantizedForward(model, recipe, biased, rgb, 'weights'))).toBeLessThan(1e-9);
    expect(nmse(got, quantizedForward(model, recipe, weights, rgb, 'weights'))).toBeGreaterThan(1e-4);
  });

  test('of the sample Swin goes into the norm before it', async () => {
    const model = await sampleModel('sample-swin');
    const [image] = await sampleImages(model, 'eval', 1);
    const { recipe, weights } = hostRecipe(model, [image!.rgb]);
    const biased = withBias(weights, 'downsample.reduction', (i) => 0.3 * Math.sin(i + 1));
    const folder = new URL('../../models/sample-swin/', import.meta.url);
    const checkpoint = parseSafetensors(await readFile(new URL('model.safetensors', folder)), 'model.safetensors');
    const input = { recipe, model, checkpoint, weightsFile: 'weights.safetensors', writtenBy: 'test 1' };
    const again = await loadModel({
      configJson: await readFile(new URL('config.json', folder), 'utf8'),
      weights: dequantizedCheckpoint({ ...input, weights: biased }),
    });
    const patches = unfoldPatches(normalizePixels(image!.rgb, model.config.preprocessing), model.config);
    const wanted = quantizedForward(model, recipe, biased, image!.rgb, 'weights');
    expect(nmse(doubleForward(again, patches), wanted)).toBeLessThan(1e-9);
  });

  test('is refused by the name of its layer where that has more outputs than inputs', async () => {
    const { weights, write } = await quantized(tinyVit({ qkvBias: false }), 'timm');
    expect(() => write(withBias(weights, 'blocks.1.attn.qkv', () => 0.1))).toThrow(
      'blocks.1.attn.qkv has a bias after quantization, which this checkpoint has no tensor for and no norm before it can',
    );
  });

  test('is refused by the name of its layer where one of its outputs has no weights', async () => {
    const { weights, write } = await quantized(tinySwin(), 'timm');
    const biased = withBias(weights, 'layers.1.downsample.reduction', () => 0.1);
    parseSafetensors(biased, 'weights').tensors.get('layers.1.downsample.reduction.codes')!.bytes.fill(0, 0, 64);
    expect(() => write(biased)).toThrow('layers.1.downsample.reduction has a bias after quantization');
  });
});
