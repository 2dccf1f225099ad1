import type { LayerRecipe, Recipe } from '../calibrate/recipe.ts';
import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { FormatError } from '../io/errors.ts';
import { normalizePixels } from '../io/preprocess.ts';
import { readF32, readI8 } from '../io/readTensor.ts';
import { parseSafetensors, type TensorEntry } from '../io/safetensors.ts';
import {
  forwardNetwork,
  largestChunk,
  ParameterStore,
  type ExecutionContext,
  type ForwardOptions,
  type SearchedExecutor,
} from '../model/execute.ts';
import { searchedLayers, type LinearOperation } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { patchCodes, unfoldPatches } from '../model/patches.ts';
import { packRows } from '../kernels/pack.ts';
import { concatenate } from '../model/concatenate.ts';
import {
  geometries,
  quantizedExecutor,
  weightWords,
  type DeviceWeight,
  type QuantizedLayer,
} from '../quantize/quantizedExecutor.ts';
import { firstTokenAttention } from './attention.ts';

/** A network that turns preprocessed images into logits. */
export interface Runner {
  /** Most bytes of device buffers that it ever held. */
  readonly deviceBytes: number;
  /**
   * @param images uint8 `[height, width, 3]` each, as preprocessed for the model
   * @returns f32 `[images, numClasses]`
   */
  logits(images: readonly Uint8Array[]): Promise<Float32Array>;
  /**
   * Where the first token of an image looks: by the name of a block, for each head its probabilities over all tokens, f32
   * `[tokens]`. Blocks whose attention is cut into windows are left out.
   */
  attention(image: Uint8Array): Promise<Map<string, Float32Array[]>>;
  destroy(): void;
}

/** The float network of `model`. */
export function createFloatRunner(gpu: Gpu, model: Model): Promise<Runner> {
  return Promise.resolve(new NetworkRunner(gpu, model));
}

/**
 * The network under `recipe`: its searched products in integers (quantize, multiply, scale), the rest in float, which is what
 * the search scored.
 *
 * @param weightsFile the `weights.safetensors` beside the recipe
 * @throws FormatError when the weights do not fit the model
 */
export async function createSimulation(
  gpu: Gpu,
  model: Model,
  recipe: Recipe,
  weightsFile: Uint8Array,
  weightsName = 'weights.safetensors',
): Promise<Runner> {
  const { tensors } = parseSafetensors(weightsFile, weightsName);
  const runner = new NetworkRunner(gpu, withStoredParameters(model, tensors, weightsName));
  try {
    await runner.quantize(recipe, tensors, weightsName);
    return runner;
  } catch (error) {
    runner.destroy();
    throw error;
  }
}

/** `model` with the parameters that stay float as the file has them: the calibration may have moved scales into LayerNorm. */
function withStoredParameters(model: Model, tensors: ReadonlyMap<string, TensorEntry>, file: string): Model {
  const parameters = new Map(model.parameters);
  for (const [name, { shape }] of parameters) {
    const stored = tensors.get(name);
    if (!stored) continue;
    if (stored.shape.join() !== shape.join()) {
      throw new FormatError(
        `${file}: ${name} has shape [${stored.shape.join(', ')}], expected [${shape.join(', ')}]; quantize this model again`,
      );
    }
    parameters.set(name, { shape, values: readF32(stored) });
  }
  return { ...model, parameters };
}

/** Images that go through the network together; the logits do not depend on it. */
const IMAGES_PER_CHUNK = 8;

class NetworkRunner implements Runner {
  readonly #gpu: Gpu;
  readonly #model: Model;
  readonly #pool: BufferPool;
  readonly #context: ExecutionContext;
  #executor: SearchedExecutor | undefined;
  #pixelCodes: GPUBuffer | undefined;

  constructor(gpu: Gpu, model: Model) {
    this.#gpu = gpu;
    this.#model = model;
    this.#pool = new BufferPool(gpu.device);
    this.#context = { device: gpu.device, pool: this.#pool, parameters: new ParameterStore(this.#pool, model) };
  }

  get deviceBytes(): number {
    return this.#pool.peakBytes;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- reports its errors through the promise
  async quantize(recipe: Recipe, tensors: ReadonlyMap<string, TensorEntry>, weightsName: string): Promise<void> {
    const byName = new Map(recipe.layers.map((layer) => [layer.name, layer]));
    const geometryOf = geometries(this.#model.network.units);
    const layers = new Map<string, QuantizedLayer>();
    for (const operation of searchedLayers(this.#model.network)) {
      const { name } = operation;
      const [layer, geometry] = [byName.get(name), geometryOf.get(name)];
      if (!layer || !geometry) throw new FormatError(`the recipe has no layer ${name}; quantize this model again`);
      const weight = operation.kind === 'linear' ? this.#upload(operation, layer, tensors, weightsName) : undefined;
      layers.set(name, { recipe: layer, geometry, weight });
    }
    this.#executor = quantizedExecutor(this.#gpu.device, layers, () => this.#pixelCodes as GPUBuffer);
  }

  #upload(
    { name, inFeatures, outFeatures, bias }: LinearOperation,
    layer: LayerRecipe,
    tensors: ReadonlyMap<string, TensorEntry>,
    file: string,
  ): DeviceWeight {
    const entry = (suffix: string, shape: readonly number[]): TensorEntry => {
      const found = tensors.get(`${name}.${suffix}`);
      if (!found) throw new FormatError(`${file} has no tensor ${name}.${suffix}; quantize this model again`);
      if (found.shape.join() !== shape.join()) {
        throw new FormatError(
          `${file}: ${name}.${suffix} has shape [${found.shape.join(', ')}], expected [${shape.join(', ')}]`,
        );
      }
      return found;
    };
    const codes = weightWords(readI8(entry('codes', [outFeatures, inFeatures])), outFeatures, inFeatures, layer);
    const hasBias = bias !== null || tensors.has(`${name}.bias`);
    const shift = hasBias ? this.#pool.upload(readF32(entry('bias', [outFeatures])), `${name} bias`) : null;
    return { codes: this.#pool.upload(codes, `${name} codes`), bias: shift };
  }

  async logits(images: readonly Uint8Array[]): Promise<Float32Array> {
    const { numClasses } = this.#model.network;
    const logits = new Float32Array(images.length * numClasses);
    const size = Math.min(IMAGES_PER_CHUNK, largestChunk(this.#gpu.device, this.#model.network));
    for (let start = 0; start < images.length; start += size) {
      logits.set(await this.#chunkLogits(images.slice(start, start + size)), start * numClasses);
    }
    this.#gpu.check();
    return logits;
  }

  async attention(image: Uint8Array): Promise<Map<string, Float32Array[]>> {
    const found = new Map<string, Float32Array[]>();
    await this.#chunkLogits([image], async (unit, tensors) => {
      const heads = await firstTokenAttention(this.#gpu.device, unit, tensors);
      if (heads.length > 0) found.set(unit.name, heads);
    });
    this.#gpu.check();
    return found;
  }

  async #chunkLogits(images: readonly Uint8Array[], onUnit?: ForwardOptions['onUnit']): Promise<Float32Array> {
    const { config, network } = this.#model;
    const patches = concatenate(images.map((rgb) => unfoldPatches(normalizePixels(rgb, config.preprocessing), config)));
    if (this.#executor) {
      const codes = images.map((rgb) => patchCodes(rgb, config));
      this.#pixelCodes = this.#pool.upload(packRows(codes, 3 * config.patchSize ** 2), 'pixel codes');
    }
    try {
      const options = { imagesPerChunk: images.length, ...(onUnit && { onUnit }) };
      return await forwardNetwork(this.#context, network, patches, images.length, this.#executor, options);
    } finally {
      if (this.#pixelCodes) this.#pool.release(this.#pixelCodes);
      this.#pixelCodes = undefined;
    }
  }

  destroy(): void {
    this.#context.parameters[Symbol.dispose]();
    this.#pool.destroy();
  }
}
