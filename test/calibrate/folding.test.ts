import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { observeChannels, startChannelStatistics } from '../../src/calibrate/channelStatistics.ts';
import { modelSizes } from '../../src/model/config.ts';
import { forwardNetwork, forwardUnit, ParameterStore } from '../../src/model/execute.ts';
import type { Model } from '../../src/model/load.ts';
import { CHANNEL_BINS, type ChannelRanges } from '../../src/quantize/channelRanges.ts';
import { foldModel, type FoldingOptions } from '../../src/quantize/folding.ts';
import { doubleRanges, withOutliers } from '../support/channelRanges.ts';
import { dataDirectory } from '../support/data.ts';
import { nmse, useGpu } from '../support/device.ts';
import { patchesOf, sharedModel, tinyModel } from '../support/goldenModel.ts';

const shared = useGpu();

async function logitsOf(model: Model, patches: Float32Array, images: number): Promise<Float32Array> {
  const { device, pool } = shared;
  using parameters = new ParameterStore(pool, model);
  return await forwardNetwork({ device, pool, parameters }, model.network, patches, images);
}

/** Ranges of all channels, observed in chunks of `chunk` images. */
async function observed(model: Model, patches: Float32Array, images: number, chunk: number): Promise<ChannelRanges> {
  const { device, pool } = shared;
  using parameters = new ParameterStore(pool, model);
  const context = { device, pool, parameters };
  const statistics = startChannelStatistics(model.network, images);
  const size = patches.length / images;
  for (let firstImage = 0; firstImage < images; firstImage += chunk) {
    const count = Math.min(chunk, images - firstImage);
    const scope = pool.scope();
    let input = scope.upload(patches.subarray(firstImage * size, (firstImage + count) * size), 'patches');
    for (const unit of model.network.units) {
      const tensors = await forwardUnit(context, unit, input, count, scope);
      await observeChannels(context, statistics, unit, tensors, { firstImage, images: count });
      input = tensors.get(unit.output) as GPUBuffer;
    }
    scope.release();
  }
  expect(statistics.observed.size).toBe(0);
  return statistics.ranges;
}

/** Observes, folds and compares logits. */
async function expectKept(
  name: string,
  model: Model,
  patches: Float32Array,
  images: number,
  foldings: readonly FoldingOptions['folding'][] = ['reparameterize', 'smooth'],
): Promise<void> {
  const ranges = await observed(model, patches, images, 2);
  const logits = await logitsOf(model, patches, images);
  for (const folding of foldings) {
    const folded = foldModel(model, ranges, { folding, activationBits: 6, strength: 1 });
    const error = nmse(await logitsOf(folded, patches, images), logits);
    console.log(`${name}, ${folding}: NMSE of logits ${error.toExponential(1)}`);
    expect(error, folding).toBeLessThan(1e-10);
    expect(error, 'nothing was folded').toBeGreaterThan(0);
  }
}

describe.each(['vit-plain', 'vit-distilled'] as const)('%s', (name) => {
  test('channels are as in double, whatever the chunk', async () => {
    const tiny = await tinyModel(name);
    const { patches, images } = patchesOf(tiny.golden('pixels') as Float32Array, tiny.model);
    expect(images).toBe(3);
    const [whole, ...parts] = await Promise.all([3, 1, 2].map((chunk) => observed(tiny.model, patches, images, chunk)));
    for (const part of parts) expect(part).toEqual(whole);
    const size = patches.length / images;
    const each = Array.from({ length: images }, (_, i) => patches.subarray(i * size, (i + 1) * size));
    const { ranges } = doubleRanges(tiny.model, each);
    expect([...whole!.keys()].sort()).toEqual([...ranges.keys()].sort());
    for (const [tensor, { low, high, counts, moments }] of whole!) {
      const expected = ranges.get(tensor)!;
      expect(nmse(low, expected.low), tensor).toBeLessThan(1e-10);
      expect(nmse(high, expected.high), tensor).toBeLessThan(1e-10);
      const moved = counts.reduce((sum, count, i) => sum + Math.abs(count - expected.counts[i]!), 0);
      const all = expected.counts.reduce((sum, count) => sum + count, 0);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(all);
      expect(moved / all, tensor).toBeLessThan(0.01); // values at the edge of a bin
      expect(counts.length).toBe(low.length * CHANNEL_BINS);
      expect(moments.map(({ channels }) => channels)).toEqual(expected.moments.map(({ channels }) => channels));
      expect(moments).toHaveLength(tensor.endsWith('.qkv') ? 2 * modelSizes(tiny.model.config).heads : 0);
      for (const [i, { mean, products }] of moments.entries()) {
        expect(nmse(mean, expected.moments[i]!.mean), tensor).toBeLessThan(1e-10);
        expect(nmse(products, expected.moments[i]!.products), tensor).toBeLessThan(1e-10);
      }
    }
  });

  test('the logits stay, with and without outliers', async () => {
    const { model, golden } = await tinyModel(name);
    const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
    await expectKept(name, model, patches, images);
    await expectKept(`${name} with outliers`, withOutliers(model), patches, images);
  });
});

test('a value that is not finite is an error that names its tensor', async () => {
  const { model, golden } = await tinyModel('vit-plain');
  const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
  const damaged = withOutliers(model);
  damaged.parameters.get('blocks.1.norm2.bias')!.values[4] = 3e38;
  damaged.parameters.get('blocks.1.norm2.weight')!.values[4] = 3e38;
  await expect(observed(damaged, patches, images, 3)).rejects.toThrow(
    'blocks.1.norm2 holds values that are not finite',
  );
});

const data = dataDirectory();
if (data !== undefined) {
  test.each(['deit-tiny-patch16-224', 'vit-tiny-augreg'])('%s keeps the logits of two photos', async (folder) => {
    const { model, golden } = await sharedModel(join(data, folder), 'golden.safetensors');
    const { patches, images } = patchesOf(golden('calib.pixels.first2') as Float32Array, model);
    await expectKept(folder, model, patches, images, ['reparameterize']);
  });

  test.each(['deit-mini-distilled', 'vit-mini-noqkvbias'])('%s keeps its logits', async (folder) => {
    const { model, golden } = await sharedModel(join(data, 'golden-models', folder), 'golden.safetensors');
    const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
    await expectKept(folder, model, patches, images);
  });
}
