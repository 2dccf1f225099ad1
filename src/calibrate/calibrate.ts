import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { readF32 } from '../gpu/readback.ts';
import { normalizePixels } from '../io/preprocess.ts';
import { concatenate } from '../model/concatenate.ts';
import { forwardUnit, ParameterStore, type ExecutionContext } from '../model/execute.ts';
import { isSearched, searchedLayers, type Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { patchCodes, unfoldPatches } from '../model/patches.ts';
import { multiplyAccumulates, productGeometry } from '../quantize/geometry.ts';
import { packRows } from '../kernels/pack.ts';
import { captureUnit, type ChunkInput } from './captureUnit.ts';
import { checkpointKey, decodeCheckpoint, encodeCheckpoint, type CheckpointStore } from './checkpoint.ts';
import { observeUnit, startStatistics, type ForwardStatistics } from './forwardStatistics.ts';
import { fisherSeed } from './gradientSeed.ts';
import { integerRecipe } from './integerRecipe.ts';
import { layerPlan, meanBits, prepareLayer } from './layerPlan.ts';
import { plannedCandidates, searchLayer } from './layerSearch.ts';
import { quantizeWeights, type QuantizedWeight } from './quantizeWeights.ts';
import { WorkMeter, type Control } from './progress.ts';
import type { CalibrationOptions } from './options.ts';
import type { IntegerRecipe, LayerRecipe, Recipe } from './recipe.ts';

/** One calibration image, preprocessed as the model wants it. */
export interface CalibrationImage {
  /** Name in the recipe: no path. */
  readonly file: string;
  /** Lowercase hexadecimal SHA-256 of the file. */
  readonly sha256: string;
  /** uint8 `[height, width, 3]` */
  readonly rgb: Uint8Array;
}

export interface CalibrationResult {
  readonly recipe: Recipe;
  /** Codes and scales of every quantized weight, by layer name. */
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  /** Milliseconds of each stage. */
  readonly stages: Readonly<Record<string, number>>;
  /** Candidates scored, summed over layers; one that was scored on a share of the rows counts as that share. */
  readonly candidates: number;
  /** Multiply-accumulates spent on scoring them. */
  readonly candidateMacs: number;
  /** Most device memory held at once by this job. */
  readonly peakDeviceBytes: number;
}

export interface CalibrationControl extends Control {
  /** Where finished units are kept, so that a run that was cut off goes on there. */
  readonly checkpoints?: CheckpointStore;
}

/** Images of a chunk: as many as keep the largest tensor of a unit below this. The recipe does not depend on it. */
const CHUNK_TENSOR_BYTES = 8 * 2 ** 20;

/** Work of a float multiply-accumulate in units of a candidate's integer one, measured on software adapters; for progress only. */
const FLOAT_MAC_WORK = 3;

/**
 * Searches the quantizers of every layer of `model` on unlabelled images (PTQ4ViT, sections 3.3 and 3.4). A forward pass keeps
 * the input of every unit; the units are then walked from last to first, each recomputed with capture, back-propagated and
 * searched, so that device memory is that of one unit whatever the depth. The same images, weights, options and adapter give
 * the same recipe, byte for byte, whatever the chunk size.
 *
 * @throws CalibrationError naming the layer when its images or weights cannot be searched
 * @throws RangeError when there is no image
 */
export async function calibrate(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  options: CalibrationOptions,
  control: CalibrationControl = {},
  chunkImages: number = imagesPerChunk(model, images.length),
): Promise<CalibrationResult> {
  if (images.length === 0) throw new RangeError('calibration needs at least one image, got 0');
  using pool = new BufferPool(gpu.device);
  using parameters = new ParameterStore(pool, model);
  const context: ExecutionContext = { device: gpu.device, pool, parameters };
  const run = new CalibrationRun(gpu, model, images, options, control, context, chunkImages);
  return await run.execute();
}

class CalibrationRun {
  readonly #gpu: Gpu;
  readonly #model: Model;
  readonly #images: readonly CalibrationImage[];
  readonly #options: CalibrationOptions;
  readonly #control: CalibrationControl;
  readonly #context: ExecutionContext;
  readonly #chunks: readonly (readonly CalibrationImage[])[];
  readonly #meter: WorkMeter;
  readonly #statistics: ForwardStatistics;
  readonly #stages: Record<string, number> = {};
  readonly #layers = new Map<string, LayerRecipe>();
  #candidates = 0;
  #candidateMacs = 0;

  constructor(
    gpu: Gpu,
    model: Model,
    images: readonly CalibrationImage[],
    options: CalibrationOptions,
    control: CalibrationControl,
    context: ExecutionContext,
    chunkImages: number,
  ) {
    this.#gpu = gpu;
    this.#model = model;
    this.#images = images;
    this.#options = options;
    this.#control = control;
    this.#context = context;
    this.#chunks = chunksOf(images, chunkImages);
    this.#meter = new WorkMeter(control, this.#totalWork());
    this.#statistics = startStatistics(model.network, images.length);
  }

  async execute(): Promise<CalibrationResult> {
    const { units } = this.#model.network;
    const inputs = await this.#forward(units);
    const logits = inputs.pop() as Float32Array[];
    let gradients = this.#needsGradient ? this.#gradientSeeds(logits) : undefined;
    const key = await checkpointKey(this.#model, this.#images, this.#options, this.#gpu.adapter);
    for (const [index, unit] of [...units.entries()].reverse()) {
      const unitInputs = inputs.pop() as Float32Array[];
      const saved = decodeCheckpoint(await this.#control.checkpoints?.read(key, unit.name), key);
      if (saved) {
        for (const layer of saved.layers) this.#layers.set(layer.name, layer);
        gradients = saved.gradients && splitLike(saved.gradients, unitInputs);
        this.#meter.skip(unit.name, this.#unitWork(unit));
        continue;
      }
      gradients = await this.#sweep(unit, index === 0, unitInputs, gradients);
      const layers = unit.operations.filter(isSearched).map(({ name }) => this.#layers.get(name) as LayerRecipe);
      await this.#control.checkpoints?.write(
        key,
        unit.name,
        encodeCheckpoint({ key, layers, gradients: gradients && concatenate(gradients) }),
      );
    }
    const layers = searchedLayers(this.#model.network).map(({ name }) => this.#layers.get(name) as LayerRecipe);
    const weights = await this.#timed('quantize weights', () => quantizeWeights(this.#context, this.#model, layers));
    const integer = await this.#timed('nonlinear errors', () =>
      Promise.resolve(integerRecipe(this.#model, this.#statistics, layers)),
    );
    this.#gpu.check();
    await this.#control.checkpoints?.remove(key);
    return {
      recipe: this.#recipe(layers, integer),
      weights,
      stages: this.#stages,
      candidates: this.#candidates,
      candidateMacs: this.#candidateMacs,
      peakDeviceBytes: this.#context.pool.peakBytes,
    };
  }

  get #needsGradient(): boolean {
    return this.#options.metric === 'hessian';
  }

  /** Inputs of every unit and the logits, per chunk, in host memory; what integer inference needs goes to the statistics. */
  async #forward(units: readonly Unit[]): Promise<Float32Array[][]> {
    let current = this.#chunks.map((chunk) => concatenate(chunk.map((image) => this.#patches(image))));
    const inputs = [current];
    for (const unit of units) {
      const next: Float32Array[] = [];
      let firstImage = 0;
      for (const [c, { length: images }] of this.#chunks.entries()) {
        const scope = this.#context.pool.scope();
        try {
          const tensors = await this.#timed('forward', async () => {
            const input = scope.upload(current[c] as Float32Array, `${unit.name} input`);
            const made = await forwardUnit(this.#context, unit, input, images, scope);
            const count = images * (unit.elements[unit.output] as number);
            next.push(await readF32(this.#context.device, made.get(unit.output) as GPUBuffer, count));
            return made;
          });
          await this.#timed('ranges', () =>
            observeUnit(this.#context, this.#statistics, unit, tensors, { firstImage, images }),
          );
        } finally {
          scope.release();
        }
        firstImage += images;
        this.#meter.advance('forward', images * FLOAT_MAC_WORK * unitMacs(unit));
      }
      this.#context.parameters.release(unit);
      inputs.push((current = next));
    }
    return inputs;
  }

  #gradientSeeds(logits: readonly Float32Array[]): Float32Array[] {
    const { numClasses } = this.#model.network;
    return this.#chunks.map((chunk, c) =>
      concatenate(
        chunk.map(({ sha256 }, i) =>
          fisherSeed((logits[c] as Float32Array).subarray(i * numClasses, (i + 1) * numClasses), {
            seed: this.#options.seed,
            imageSha256: sha256,
          }),
        ),
      ),
    );
  }

  /** Searches the layers of one unit; returns the gradients of its input. */
  async #sweep(
    unit: Unit,
    isFirst: boolean,
    inputs: readonly Float32Array[],
    gradients: readonly Float32Array[] | undefined,
  ): Promise<Float32Array[] | undefined> {
    const { device, pool, parameters } = this.#context;
    const scope = pool.scope();
    try {
      const captures = await this.#timed('capture and backward', async () => {
        const all = [];
        for (const [c, chunk] of this.#chunks.entries()) {
          const input: ChunkInput = {
            images: chunk.length,
            input: inputs[c] as Float32Array,
            outputGradient: gradients?.[c],
            pixelCodes: isFirst ? this.#pixelCodes(chunk) : undefined,
          };
          all.push(await captureUnit(this.#context, unit, input, scope));
          this.#meter.advance(unit.name, chunk.length * this.#captureWork(unit));
        }
        await device.queue.onSubmittedWorkDone();
        return all;
      });
      for (const operation of unit.operations.filter(isSearched)) {
        const geometry = productGeometry(operation, unit);
        const macs = this.#images.length * multiplyAccumulates(geometry);
        const chunks = captures.map(({ layers }) => layers.get(operation.name)).filter((chunk) => chunk !== undefined);
        await this.#timed(`search ${layerKind(operation.name)}`, async () => {
          const plan = layerPlan(operation, this.#options);
          const layerScope = pool.scope();
          try {
            const { problem, ranges } = await prepareLayer(
              this.#context,
              this.#model,
              operation,
              geometry,
              chunks,
              plan,
              this.#options,
              layerScope,
            );
            const planned = plannedCandidates(plan, geometry.depth, this.#options);
            let spent = 0;
            const onWork = (candidates: number) => {
              spent += candidates;
              this.#candidateMacs += candidates * macs;
              this.#meter.advance(unit.name, candidates * macs);
            };
            const layer = await searchLayer(this.#context, problem, plan, ranges, this.#options, layerScope, onWork);
            this.#candidates += spent;
            this.#meter.advance(unit.name, Math.max(0, planned - spent) * macs);
            this.#layers.set(operation.name, layer);
          } finally {
            layerScope.release();
            pool.trim(); // layers need buffers of other sizes
          }
        });
      }
      this.#gpu.check();
      if (isFirst || !gradients) return undefined;
      const inputGradients: Float32Array[] = [];
      for (const [c, { inputGradient }] of captures.entries()) {
        inputGradients.push(await readF32(device, inputGradient as GPUBuffer, (inputs[c] as Float32Array).length));
      }
      return inputGradients;
    } finally {
      scope.release();
      parameters.release(unit);
      pool.trim();
    }
  }

  #patches({ rgb }: CalibrationImage): Float32Array {
    const { config } = this.#model;
    return unfoldPatches(normalizePixels(rgb, config.preprocessing), config);
  }

  #pixelCodes(chunk: readonly CalibrationImage[]): Uint8Array {
    const { config } = this.#model;
    return packRows(
      chunk.map(({ rgb }) => patchCodes(rgb, config)),
      3 * config.patchSize ** 2,
    );
  }

  #captureWork(unit: Unit): number {
    return (this.#needsGradient ? 3 : 1) * FLOAT_MAC_WORK * unitMacs(unit);
  }

  #unitWork(unit: Unit): number {
    let work = this.#captureWork(unit);
    for (const operation of unit.operations.filter(isSearched)) {
      const geometry = productGeometry(operation, unit);
      const candidates = plannedCandidates(layerPlan(operation, this.#options), geometry.depth, this.#options);
      work += candidates * multiplyAccumulates(geometry);
    }
    return this.#images.length * work;
  }

  #totalWork(): number {
    const { units } = this.#model.network;
    const forward = this.#images.length * FLOAT_MAC_WORK * units.reduce((sum, unit) => sum + unitMacs(unit), 0);
    return forward + units.reduce((sum, unit) => sum + this.#unitWork(unit), 0);
  }

  #recipe(layers: readonly LayerRecipe[], integer: IntegerRecipe): Recipe {
    const { config, weightsSha256, rawConfig } = this.#model;
    return {
      format: 'twinshift-recipe',
      version: 3,
      model: { architecture: config.architecture, weightsSha256, config: rawConfig },
      options: this.#options,
      images: this.#images.map(({ file, sha256 }) => ({ file, sha256 })),
      ...meanBits(this.#model.network, layers),
      layers,
      integer,
    };
  }

  async #timed<T>(stage: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await work();
    } finally {
      this.#stages[stage] = (this.#stages[stage] ?? 0) + performance.now() - started;
    }
  }
}

/** Images that go through a unit together. */
function imagesPerChunk(model: Model, images: number): number {
  const largest = Math.max(...model.network.units.flatMap((unit) => Object.values(unit.elements)));
  return Math.max(1, Math.min(images, Math.floor(CHUNK_TENSOR_BYTES / (4 * largest))));
}

function unitMacs(unit: Unit): number {
  return unit.operations
    .filter(isSearched)
    .reduce((sum, operation) => sum + multiplyAccumulates(productGeometry(operation, unit)), 0);
}

/** `attn.qkv` of `blocks.3.attn.qkv`: layers of one kind share a stage. */
function layerKind(name: string): string {
  return name.replace(/^blocks\.\d+\./, '');
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

function splitLike(whole: Float32Array, parts: readonly Float32Array[]): Float32Array[] {
  let offset = 0;
  return parts.map(({ length }) => whole.slice(offset, (offset += length)));
}
