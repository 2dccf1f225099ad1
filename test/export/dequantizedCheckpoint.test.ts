import { describe, expect, test } from 'vitest';
import { existsIn, inLayout, LAYOUTS, randomTensors } from '../../bench/support/checkpointLayouts.ts';
import { dequantizedCheckpoint } from '../../src/export/dequantizedCheckpoint.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { parseSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { loadModel } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { tinySwin, tinyVit } from '../support/checkpoints.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { noise } from '../support/floats.ts';
import { hostRecipe } from '../support/hostRecipe.ts';
import { quantizedForward } from '../support/quantizedForward.ts';

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

test('a bias that the checkpoint has no tensor for is refused by the name of its layer', async () => {
  const { weights, write } = await quantized(tinySwin(), 'timm');
  const tensors = [...parseSafetensors(weights, 'weights').tensors.values()].map((entry) => ({
    ...entry,
    data: entry.bytes,
  }));
  const bias = {
    name: 'layers.0.downsample.reduction.bias',
    dtype: 'F32',
    shape: [16],
    data: new Float32Array(16),
  } as const;
  expect(() => write(writeSafetensors([...tensors, bias]))).toThrow(
    'layers.0.downsample.reduction has a bias after quantization, which this checkpoint has no tensor for',
  );
});
