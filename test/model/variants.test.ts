import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { forwardNetwork, ParameterStore } from '../../src/model/execute.ts';
import type { Unit } from '../../src/model/graph.ts';
import { compareGolden, LOGITS } from '../support/compareGolden.ts';
import { dataDirectory } from '../support/data.ts';
import { nmse, useGpu } from '../support/device.ts';
import { doubleForward, searchedOutputs } from '../support/doubleForward.ts';
import { noise } from '../support/floats.ts';
import { patchesOf, sharedModel, TINY_VARIANTS, tinyModel } from '../support/goldenModel.ts';
import { everything } from '../support/gradients.ts';

const shared = useGpu();

/** Searched layers of each model, and those whose tensors its file holds. */
const LAYERS = { 'vit-registers': [18, 18], 'vit-pooled': [14, 14], 'vit-averaged': [14, 14], 'swin-odd': [34, 11] };

describe.each(TINY_VARIANTS)('%s, a tiny random model', (name) => {
  test('output and gradient of the searched layers equal PyTorch', async () => {
    const tiny = await tinyModel(name);
    const layers = searchedOutputs(tiny.model.network).map(({ layer }) => layer);
    const golden = layers.filter((layer) => tiny.golden(`grad.${layer}`));
    expect([layers.length, golden.length]).toEqual(LAYERS[name]);
    const { device, pool } = shared;
    using parameters = new ParameterStore(pool, tiny.model);
    await compareGolden({ device, pool, parameters }, tiny, name, golden);
  });

  test('the gradient of every searched layer equals central differences in double', async () => {
    const { model, golden } = await tinyModel(name);
    const { device, pool } = shared;
    using parameters = new ParameterStore(pool, model);
    const pixels = golden('pixels') as Float32Array;
    const { patches } = patchesOf(pixels.subarray(0, pixels.length / 2), model);
    const seed = (golden('seed') as Float32Array).subarray(0, model.config.numClasses);
    const result = await everything({ device, pool, parameters }, model.network, patches, 1, seed);
    const loss = (delta: Float64Array, unit: Unit, tensor: string) =>
      doubleForward(model, patches, { unit: unit.name, tensor, delta }).reduce((sum, z, i) => sum + z * seed[i]!, 0);
    const step = 1e-4;
    for (const { layer, unit, tensor } of searchedOutputs(model.network)) {
      const gradient = result.gradient(unit.name, tensor);
      const direction = Float64Array.from(noise(gradient.length, 17));
      const expected = direction.reduce((sum, d, i) => sum + d * gradient[i]!, 0);
      const [forth, back] = [step, -step].map((by) =>
        loss(
          direction.map((d) => by * d),
          unit,
          tensor,
        ),
      );
      const size = Math.hypot(...gradient) * Math.hypot(...direction);
      expect(Math.abs((forth! - back!) / (2 * step) - expected) / size, layer).toBeLessThan(2e-6);
    }
  });

  test('logits are the same bits in chunks of 1 and 2, and all memory comes back', async () => {
    const { model, golden } = await tinyModel(name);
    const { device, pool } = shared;
    const before = pool.liveBytes;
    {
      using parameters = new ParameterStore(pool, model);
      const context = { device, pool, parameters };
      const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
      const [whole, one] = await Promise.all(
        [2, 1].map((imagesPerChunk) =>
          forwardNetwork(context, model.network, patches, images, undefined, { imagesPerChunk }),
        ),
      );
      expect(nmse(whole!, golden('logits') as Float32Array)).toBeLessThanOrEqual(LOGITS);
      expect(one).toEqual(whole);
      const held = pool.liveBytes;
      for (const unit of model.network.units) parameters.release(unit);
      expect(pool.liveBytes).toBeLessThan(held);
      expect(pool.liveBytes).toBe(before); // constants of the graph are given back with their units
    }
  });
});

const data = dataDirectory();
if (data !== undefined) {
  describe('Swins of the shared data, by timm 0.5.4', () => {
    test.each([
      [
        'swin-mini-224',
        [
          ...['layers.0.blocks.1', 'layers.1.blocks.0.attn.qkv', 'layers.1.blocks.1', 'layers.2.blocks.1.mlp.fc1'],
          ...['layers.2.downsample.reduction', 'layers.3.blocks.1'],
        ],
      ],
      ['swin-mini-96-w6', ['layers.0.blocks.1', 'layers.1.blocks.1.attn.proj', 'layers.3.blocks.0']],
    ])('%s', async (name, modules) => {
      const golden = await sharedModel(join(data, 'golden-models', name), 'golden.safetensors');
      const { device, pool } = shared;
      using parameters = new ParameterStore(pool, golden.model);
      await compareGolden({ device, pool, parameters }, golden, name, modules);
    });
  });
}
