import { describe, expect, test } from 'vitest';
import { liveRows } from '../../src/calibrate/compensation/liveRows.ts';
import { correctNetworkBiases, type QuantizedNetwork } from '../../src/calibrate/compensation/networkBias.ts';
import { chunkPatches, chunkPixelCodes, type ImageChunk } from '../../src/calibrate/imageChunks.ts';
import { readF32 as readFile, readI8 } from '../../src/io/readTensor.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { forwardUnit, ParameterStore } from '../../src/model/execute.ts';
import { searchedLayers, type LinearOperation, type Network } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import {
  geometries,
  quantizedExecutor,
  weightWords,
  type QuantizedLayer,
} from '../../src/quantize/quantizedExecutor.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { tinyModel } from '../support/goldenModel.ts';
import { hostRecipe } from '../support/hostRecipe.ts';

const shared = useGpu();
const IMAGES = 5;

/** A tiny network in few bits, and images of noise in chunks of the given sizes. */
async function quantizedNetwork(
  name: 'vit-plain' | 'vit-distilled',
  cut: readonly number[],
): Promise<QuantizedNetwork> {
  const { model } = await tinyModel(name);
  const size = 3 * model.config.imageSize ** 2;
  const images = Array.from({ length: IMAGES }, (_, i) => {
    const rgb = Uint8Array.from(noise(size, i + 1, 127), (x) => x + 127.5);
    return { file: `${i}.png`, sha256: '0'.repeat(64), rgb };
  });
  const { recipe, weights } = hostRecipe(
    model,
    images.map(({ rgb }) => rgb),
    { weightBits: 4, activationBits: 4 },
  );
  const { tensors } = parseSafetensors(weights, 'weights');
  const entries = searchedLayers(model.network).flatMap((layer) => {
    if (layer.kind !== 'linear') return [];
    const codes = readI8(tensors.get(`${layer.name}.codes`)!);
    const bias = tensors.get(`${layer.name}.bias`);
    const shape = [layer.outFeatures, layer.inFeatures] as const;
    const scales = readFile(tensors.get(`${layer.name}.scales`)!);
    return [[layer.name, { codes, shape, scales, bias: bias ? readFile(bias) : null }] as const];
  });
  let first = 0;
  const chunks: ImageChunk[] = cut.map((count) => images.slice(first, (first += count)));
  return { model, layers: recipe.layers, weights: new Map(entries), chunks };
}

function run(network: QuantizedNetwork, onUnit?: (unit: string) => void): Promise<Map<string, Float32Array>> {
  using parameters = new ParameterStore(shared.pool, network.model);
  return correctNetworkBiases({ ...shared, parameters }, network, onUnit);
}

/** Largest mean error of each linear layer of the whole network, all images at once, over its live rows. */
async function meanErrors(network: QuantizedNetwork, biases: ReadonlyMap<string, Float32Array | null>) {
  const { model, layers, weights, chunks } = network;
  const { pool, device } = shared;
  const images = chunks.flat();
  const parameters = new ParameterStore(pool, model);
  const scope = pool.scope();
  const recipes = new Map(layers.map((layer) => [layer.name, layer]));
  const places = geometries(model.network.units);
  const ready = new Map<string, QuantizedLayer>();
  for (const { name, kind } of searchedLayers(model.network)) {
    const [recipe, geometry] = [recipes.get(name)!, places.get(name)!];
    const quantized = weights.get(name);
    const bias = biases.get(name);
    const weight = quantized && {
      codes: scope.upload(weightWords(quantized.codes, ...quantized.shape, recipe), 'codes'),
      bias: bias ? scope.upload(bias, 'bias') : null,
    };
    ready.set(name, { recipe, geometry, weight: kind === 'linear' ? weight : undefined });
  }
  const pixels = scope.upload(chunkPixelCodes(images, model), 'pixels');
  const executor = quantizedExecutor(device, ready, () => pixels);
  const patches = scope.upload(chunkPatches(images, model), 'patches');
  const live = liveRows(model.network);
  const found = new Map<string, number>();
  let [float, quantized] = [patches, patches];
  for (const unit of model.network.units) {
    const context = { device, pool, parameters };
    const exact = await forwardUnit(context, unit, float, images.length, scope);
    const coarse = await forwardUnit(context, unit, quantized, images.length, scope, executor);
    for (const operation of unit.operations) {
      if (operation.kind !== 'linear') continue;
      const { rows, outFeatures, name, output } = operation;
      const count = images.length * rows * outFeatures;
      const [y, z] = [
        await readF32(device, exact.get(output)!, count),
        await readF32(device, coarse.get(output)!, count),
      ];
      const sums = new Float64Array(outFeatures);
      const of = live.get(name)!;
      y.forEach((value, i) => {
        const row = Math.floor(i / outFeatures) % rows;
        if (of === 'all' || of.has(row)) sums[i % outFeatures]! += value - z[i]!;
      });
      const rowsOfImage = of === 'all' ? rows : of.size;
      found.set(name, Math.max(...sums.map((sum) => Math.abs(sum / (images.length * rowsOfImage)))));
    }
    [float, quantized] = [exact.get(unit.output)!, coarse.get(unit.output)!];
  }
  scope.release();
  parameters.destroy();
  return found;
}

describe.each(['vit-plain', 'vit-distilled'] as const)('the biases of %s', (name) => {
  test('take up the mean error of every layer, those before it corrected', async () => {
    const network = await quantizedNetwork(name, [3, 2]);
    const units: string[] = [];
    const biases = await run(network, (unit) => units.push(unit));
    expect(units).toEqual(network.model.network.units.map((unit) => unit.name));
    expect([...biases.keys()]).toEqual([...network.weights.keys()]);
    const before = await meanErrors(network, new Map([...network.weights].map(([layer, { bias }]) => [layer, bias])));
    const after = await meanErrors(network, biases);
    for (const [layer, error] of after) {
      expect(before.get(layer), layer).toBeGreaterThan(1e-3);
      expect(error, layer).toBeLessThan(3e-6);
    }
  });

  test('are the same bytes however images are cut', async () => {
    const whole = await run(await quantizedNetwork(name, [IMAGES]));
    expect(await run(await quantizedNetwork(name, [1, 4]))).toEqual(whole);
    expect(await run(await quantizedNetwork(name, [2, 2, 1]))).toEqual(whole);
  });

  test('are there for a layer that had none', async () => {
    const network = await quantizedNetwork(name, [IMAGES]);
    const layer = network.model.network.units[1]!.operations.find(({ kind }) => kind === 'linear') as LinearOperation;
    const without = new Map(network.weights);
    without.set(layer.name, { ...network.weights.get(layer.name)!, bias: null });
    const [given, missing] = [await run(network), await run({ ...network, weights: without })];
    given.get(layer.name)!.forEach((value, i) => expect(missing.get(layer.name)![i]).toBeCloseTo(value, 5));
  });

  test('stop where the caller throws', async () => {
    const network = await quantizedNetwork(name, [IMAGES]);
    await expect(
      run(network, () => {
        throw new Error('stopped');
      }),
    ).rejects.toThrow('stopped');
    expect(shared.pool.liveBytes).toBe(0);
  });
});

describe('the rows that logits depend on', () => {
  const linears = ({ units }: Network, unit: number) =>
    units[unit]!.operations.filter((operation): operation is LinearOperation => operation.kind === 'linear');

  test.each([
    ['vit-plain', [0]],
    ['vit-distilled', [0, 1]],
  ] as const)('of %s are the tokens %j after the last attention', async (name, tokens) => {
    const { network }: Model = (await tinyModel(name)).model;
    const live = liveRows(network);
    const last = network.units.length - 2;
    const names = (unit: number) => linears(network, unit).map((layer) => layer.name.split('.').slice(-1)[0]);
    expect(names(last)).toEqual(['qkv', 'proj', 'fc1', 'fc2']);
    const rows = linears(network, last).map((layer) => live.get(layer.name)!);
    expect(rows.map((of) => (of === 'all' ? of : [...of].sort()))).toEqual(['all', tokens, tokens, tokens]);
    for (const unit of [0, 1, last + 1])
      for (const layer of linears(network, unit)) expect(live.get(layer.name)).toBe('all');
  });
});
