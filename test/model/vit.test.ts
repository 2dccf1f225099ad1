import { describe, expect, test } from 'vitest';
import { join } from 'node:path';
import type { BufferPool } from '../../src/gpu/buffers.ts';
import {
  floatExecutor,
  forwardNetwork,
  forwardUnit,
  ParameterStore,
  type ExecutionContext,
} from '../../src/model/execute.ts';
import type { Unit } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { compareGolden, LOGITS } from '../support/compareGolden.ts';
import { dataDirectory } from '../support/data.ts';
import { nmse, useGpu } from '../support/device.ts';
import { doubleForward, searchedOutputs } from '../support/doubleForward.ts';
import { noise } from '../support/floats.ts';
import { patchesOf, sharedModel, tinyModel, type GoldenModel } from '../support/goldenModel.ts';
import { everything } from '../support/gradients.ts';

const shared = useGpu();

/** A context that gives its parameters back when it is disposed. */
function open(model: Model): ExecutionContext & Disposable {
  const { device, pool } = shared;
  const parameters = new ParameterStore(pool, model);
  return { device, pool, parameters, [Symbol.dispose]: () => parameters.destroy() };
}

/** As `compareGolden`, with parameters of its own. */
async function compare(golden: GoldenModel, name: string, modules: readonly string[]): Promise<void> {
  using context = open(golden.model);
  await compareGolden(context, golden, name, modules);
}

describe.each(['vit-plain', 'vit-distilled'] as const)('%s, a tiny random model', (name) => {
  test('output and gradient of every searched layer equal PyTorch', async () => {
    const tiny = await tinyModel(name);
    const layers = searchedOutputs(tiny.model.network).map(({ layer }) => layer);
    expect(layers).toHaveLength(name === 'vit-plain' ? 14 : 15);
    await compare(tiny, name, layers);
  });

  test('gradients equal central differences in double', async () => {
    const { model, golden } = await tinyModel(name);
    using context = open(model);
    const pixels = golden('pixels') as Float32Array;
    const { patches } = patchesOf(pixels.subarray(0, pixels.length / 3), model);
    const seed = (golden('seed') as Float32Array).subarray(0, model.config.numClasses);
    const result = await everything(context, model.network, patches, 1, seed);
    const loss = (delta: Float64Array, unit: Unit, tensor: string) =>
      doubleForward(model, patches, { unit: unit.name, tensor, delta }).reduce((sum, z, i) => sum + z * seed[i]!, 0);
    const step = 1e-4;
    for (const { layer, unit, tensor } of searchedOutputs(model.network)) {
      const gradient = result.gradient(unit.name, tensor);
      for (const round of [1, 2]) {
        const direction = Float64Array.from(noise(gradient.length, 17 * round));
        const expected = direction.reduce((sum, d, i) => sum + d * gradient[i]!, 0);
        const forth = loss(
          direction.map((d) => step * d),
          unit,
          tensor,
        );
        const back = loss(
          direction.map((d) => -step * d),
          unit,
          tensor,
        );
        const size = Math.hypot(...gradient) * Math.hypot(...direction);
        expect(Math.abs((forth - back) / (2 * step) - expected) / size, layer).toBeLessThan(1e-6);
      }
    }
  });

  test('logits are the same bits in chunks of 1, 2 and 3, and all memory comes back', async () => {
    const { model, golden } = await tinyModel(name);
    const before = shared.pool.liveBytes;
    {
      using context = open(model);
      const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
      const [whole, ...parts] = await Promise.all(
        [3, 1, 2].map((imagesPerChunk) =>
          forwardNetwork(context, model.network, patches, images, undefined, { imagesPerChunk }),
        ),
      );
      expect(nmse(whole!, golden('logits') as Float32Array)).toBeLessThanOrEqual(LOGITS);
      for (const part of parts) expect(part).toEqual(whole);
    }
    expect(shared.pool.liveBytes).toBe(before);
  });
});

test('a searched executor replaces exactly the searched layers, in order', async () => {
  const { model, golden } = await tinyModel('vit-plain');
  using context = open(model);
  const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
  const seen: string[] = [];
  const logits = await forwardNetwork(context, model.network, patches, images, async (operation, ...rest) => {
    seen.push(operation.name);
    const unit = model.network.units.find((u) => u.operations.includes(operation)) as Unit;
    return operation.name === 'head' ? [] : floatExecutor(context, unit)(operation, ...rest);
  });
  expect(seen).toEqual(searchedOutputs(model.network).map(({ layer }) => layer));
  expect(nmse(logits, golden('logits') as Float32Array)).toBeGreaterThan(0.1); // the head was left out
});

test('an aborted run stops with the reason and gives its memory back', async () => {
  const { model, golden } = await tinyModel('vit-plain');
  using context = open(model);
  const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
  const before = shared.pool.liveBytes;
  const signal = AbortSignal.abort(new Error('stopped by the test'));
  await expect(forwardNetwork(context, model.network, patches, images, undefined, { signal })).rejects.toThrow(
    'stopped by the test',
  );
  expect(shared.pool.liveBytes).toBe(before);
  await expect(forwardNetwork(context, model.network, patches, images + 1)).rejects.toThrow(RangeError);
});

test('parameters are uploaded once and released by unit or prefix', async () => {
  const { model, golden } = await tinyModel('vit-plain');
  const { device, pool } = shared;
  using parameters = new ParameterStore(pool, model);
  const context = { device, pool, parameters };
  const before = pool.liveBytes;
  const unit = model.network.units[1] as Unit;
  const tokens = golden('out.blocks.0.attn.proj') as Float32Array;
  const scope = pool.scope();
  await forwardUnit(context, unit, scope.upload(tokens, 'x'), 3, scope);
  scope.release();
  const held = pool.liveBytes;
  expect(held).toBeGreaterThan(before);
  expect(parameters.get('blocks.0.attn.qkv.weight')).toBe(parameters.get('blocks.0.attn.qkv.weight'));
  parameters.release('blocks.0.attn.qkv');
  expect(pool.liveBytes).toBeLessThan(held);
  parameters.release('blocks.0.attn.qkv.weig'); // a part of a name is no prefix
  parameters.get('blocks.1.norm1.weight');
  parameters.release(unit);
  expect(pool.liveBytes).toBe(before + bytesOf(pool, 12));
  parameters.release('blocks');
  expect(pool.liveBytes).toBe(before);
});

function bytesOf(pool: BufferPool, floats: number): number {
  const buffer = pool.acquire(4 * floats, 'probe');
  pool.release(buffer);
  return buffer.size;
}

const data = dataDirectory();
if (data !== undefined) {
  describe('models of the shared data', () => {
    test('deit-mini-distilled', async () => {
      const golden = await sharedModel(join(data, 'golden-models/deit-mini-distilled'), 'golden.safetensors');
      await compare(golden, 'deit-mini-distilled', ['blocks.0.attn.qkv', 'blocks.0', 'blocks.3.mlp.fc2', 'blocks.3']);
    });

    test('vit-mini-noqkvbias', async () => {
      const golden = await sharedModel(join(data, 'golden-models/vit-mini-noqkvbias'), 'golden.safetensors');
      await compare(golden, 'vit-mini-noqkvbias', ['blocks.0.attn.qkv', 'blocks.1', 'blocks.2.mlp.fc1', 'blocks.2']);
    });

    test('DeiT-Tiny: logits of two photos and the gradient of five modules', async () => {
      const folder = join(data, 'deit-tiny-patch16-224');
      const { model, golden } = await sharedModel(folder, 'golden-grad.safetensors', 'golden.safetensors');
      const pixels = golden('calib.pixels.first2');
      await compare({ model, golden: (name) => (name === 'pixels' ? pixels : golden(name)) }, 'DeiT-Tiny', [
        'blocks.0.attn.qkv',
        'blocks.0.mlp.fc1',
        'blocks.5',
        'blocks.11.attn.proj',
        'blocks.11.mlp.fc2',
      ]);
    });

    test('ViT-Ti (augreg), whose residual reaches 580: logits of two photos', async () => {
      const { model, golden } = await sharedModel(join(data, 'vit-tiny-augreg'), 'golden.safetensors');
      using context = open(model);
      const { patches, images } = patchesOf(golden('calib.pixels.first2') as Float32Array, model);
      const logits = await forwardNetwork(context, model.network, patches, images);
      const expected = (golden('calib.logits') as Float32Array).subarray(0, logits.length);
      const error = nmse(logits, expected);
      console.log(`ViT-Ti (augreg): NMSE of logits ${error.toExponential(1)}`);
      expect(error).toBeLessThanOrEqual(LOGITS);
    });
  });
}
