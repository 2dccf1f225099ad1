import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { concatenate } from '../model/concatenate.ts';
import { ParameterStore, type ExecutionContext } from '../model/execute.ts';
import { isSearched, searchedLayers, type SearchedOperation, type Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { storedConfig } from '../model/storedConfig.ts';
import { foldModel } from '../quantize/folding.ts';
import { multiplyAccumulates, productGeometry } from '../quantize/geometry.ts';
import { augmented } from './augment.ts';
import type { UnitCapture } from './captureUnit.ts';
import { observeChannels, startChannelStatistics, type ChannelStatistics } from './channelStatistics.ts';
import { checkpointKey, decodeCheckpoint, encodeCheckpoint, type CheckpointStore } from './checkpoint.ts';
import { observeUnit, startStatistics, type ForwardStatistics } from './forwardStatistics.ts';
import { chunksOf, imagesPerChunk, type CalibrationImage, type ImageChunk } from './imageChunks.ts';
import { integerRecipe } from './integerRecipe.ts';
import { meanBits } from './layerPlan.ts';
import { drawsOf, logitGradients, perturbationGradients } from './logitGradients.ts';
import { layerOptions, type CalibrationOptions } from './options.ts';
import { photographicShare } from './photographicShare.ts';
import { pipelined } from './pipelined.ts';
import { WorkMeter, type Control } from './progress.ts';
import { layerWork, quantizeLayer, type QuantizedLayer } from './quantizeLayer.ts';
import type { QuantizedWeight } from './quantizeWeights.ts';
import type { Recipe } from './recipe.ts';
import { report, reportSaved, type OnLayer } from './reporting.ts';
import { forwardUnits, visitUnit, type Walk } from './sweep.ts';

export interface CalibrationResult {
  readonly recipe: Recipe;
  /** Codes and scales of every quantized weight, by layer name. */
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  /** The network that was quantized: the model given, with scales of single channels moved where the options ask for it. */
  readonly prepared: Model;
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
  /**
   * Told of every layer when it is finished, from the last unit to the first. Only with it is a report made; the result is the same.
   */
  readonly onLayer?: OnLayer;
}

/**
 * Tokens of which folding judges the range of a channel, at least: of fewer, other images pass it by far. Windows have theirs counted
 * together, stages of a Swin each by its own. The embedded sample, W8A8, 2 images of 65 tokens: KL 0.38 with folding, 0.008 without; 32
 * images: 0.001.
 */
const FEWEST_FOLDING_TOKENS = 1024;
/**
 * Share of photographic patches below which nothing is folded: the ranges of channels are then not those that the model will see.
 * DeiT-Tiny W6A6 without compensation, 32 images of noise, 156 photos: KL 0.95 with folding, 0.06 without. Line drawings have 0.2 and more.
 */
const LEAST_FOLDING_SHARE = 0.1;

/** Work of a float multiply-accumulate in units of a candidate's integer one, measured on software adapters; for progress only. */
const FLOAT_MAC_WORK = 3;

/**
 * Searches the quantizers of every layer of `model` on unlabelled images (PTQ4ViT, sections 3.3 and 3.4). A forward pass keeps
 * the input of every unit; the units are then walked from last to first, each recomputed with capture, back-propagated and
 * searched, so that device memory is that of one unit whatever the depth. The same images, weights, options and adapter give
 * the same recipe, byte for byte, whatever the chunk size.
 *
 * @param options `checkOptions` tells beforehand whether they fit the model
 * @throws OptionsError naming a layer that they do not fit, when it is reached
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
  const run = new CalibrationRun(gpu, model, images, options, control, pool, chunkImages);
  return await run.execute();
}

class CalibrationRun {
  readonly #gpu: Gpu;
  readonly #model: Model;
  /** What the recipe names. */
  readonly #given: readonly CalibrationImage[];
  /** What goes through the network. */
  readonly #images: readonly CalibrationImage[];
  readonly #options: CalibrationOptions;
  readonly #control: CalibrationControl;
  readonly #pool: BufferPool;
  readonly #chunks: readonly ImageChunk[];
  readonly #meter: WorkMeter;
  readonly #statistics: ForwardStatistics;
  readonly #channels: ChannelStatistics;
  readonly #folds: boolean;
  readonly #stages: Record<string, number> = {};
  readonly #quantized = new Map<string, QuantizedLayer>();
  #candidates = 0;
  #candidateMacs = 0;

  constructor(
    gpu: Gpu,
    model: Model,
    given: readonly CalibrationImage[],
    options: CalibrationOptions,
    control: CalibrationControl,
    pool: BufferPool,
    chunkImages: number,
  ) {
    const images = augmented(given, options, model);
    this.#gpu = gpu;
    this.#model = model;
    this.#given = given;
    this.#images = images;
    this.#options = options;
    this.#control = control;
    this.#pool = pool;
    this.#chunks = chunksOf(images, chunkImages);
    this.#meter = new WorkMeter(control, this.#totalWork());
    this.#statistics = startStatistics(model.network, images.length);
    this.#channels = startChannelStatistics(model.network, images.length);
    this.#folds = this.#mayFold();
  }

  async execute(): Promise<CalibrationResult> {
    const inputs = await this.#forward();
    const logits = inputs.pop() as Float32Array[];
    const { folding, foldingStrength: strength, activationBits, biasCorrection } = this.#options;
    const fewestRows = FEWEST_FOLDING_TOKENS / this.#images.length;
    const prepared =
      folding !== 'none' && this.#folds
        ? foldModel(this.#model, this.#channels.ranges, { folding, strength, activationBits, fewestRows })
        : this.#model;
    await this.#sweep(prepared, inputs, logits);
    if (biasCorrection === 'network') await this.#correctBiases(prepared);
    const results = searchedLayers(prepared.network).map(({ name }) => this.#quantized.get(name) as QuantizedLayer);
    const layers = results.map(({ layer }) => layer);
    const weights = new Map(results.flatMap(({ layer, weight }) => (weight ? [[layer.name, weight] as const] : [])));
    const integer = await this.#timed('nonlinear errors', () =>
      Promise.resolve(integerRecipe(prepared, this.#statistics, layers)),
    );
    this.#gpu.check();
    const { weightsSha256 } = this.#model;
    const config = storedConfig(this.#model.config);
    return {
      recipe: {
        format: 'twinshift-recipe',
        version: 4,
        model: { architecture: config.architecture, weightsSha256, config },
        options: this.#options,
        images: this.#given.map(({ file, sha256 }) => ({ file, sha256 })),
        ...meanBits(prepared.network, layers),
        layers,
        integer,
      },
      weights,
      prepared,
      stages: this.#stages,
      candidates: this.#candidates,
      candidateMacs: this.#candidateMacs,
      peakDeviceBytes: this.#pool.peakBytes,
    };
  }

  /** Whether enough tokens, of images that show something, are seen to tell the range of a channel that others will reach. */
  #mayFold(): boolean {
    if (this.#options.folding === 'none') return false;
    const tokens = Math.max(0, ...this.#channels.tensors.map(({ rows }) => rows));
    if (this.#images.length * tokens < FEWEST_FOLDING_TOKENS) return false;
    return photographicShare(this.#given, this.#model.config) >= LEAST_FOLDING_SHARE;
  }

  get #needsGradient(): boolean {
    return searchedLayers(this.#model.network).some(
      ({ name }) => layerOptions(this.#options, name).metric === 'hessian',
    );
  }

  /** Inputs of every unit and the logits, per chunk, in host memory; what integer inference needs goes to the statistics. */
  async #forward(): Promise<Float32Array[][]> {
    using parameters = new ParameterStore(this.#pool, this.#model);
    const context: ExecutionContext = { device: this.#gpu.device, pool: this.#pool, parameters };
    let observing = 0;
    const started = performance.now();
    const walk: Walk = { context, model: this.#model, chunks: this.#chunks };
    const inputs = await forwardUnits(walk, async (unit, tensors, place) => {
      const before = performance.now();
      await observeUnit(context, this.#statistics, unit, tensors, place);
      if (this.#folds) await observeChannels(context, this.#channels, unit, tensors, place);
      observing += performance.now() - before;
      this.#meter.advance('forward', place.images * FLOAT_MAC_WORK * unitMacs(unit));
    });
    this.#stages['forward'] = performance.now() - started - observing;
    this.#stages['ranges'] = observing;
    return inputs;
  }

  /** Quantizes the layers of all units, from the last to the first; finished ones are taken from the checkpoints. */
  async #sweep(
    model: Model,
    inputs: readonly (readonly Float32Array[])[],
    logits: readonly Float32Array[],
  ): Promise<void> {
    const { checkpoints } = this.#control;
    const key = await checkpointKey(model, this.#images, this.#options, this.#gpu.adapter);
    using parameters = new ParameterStore(this.#pool, model);
    const context: ExecutionContext = { device: this.#gpu.device, pool: this.#pool, parameters };
    const walk: Walk = { context, model, chunks: this.#chunks };
    const perturbs = this.#options.gradientSeed === 'perturbation';
    let gradients: readonly Float32Array[] | undefined =
      this.#needsGradient && !perturbs ? logitGradients(this.#chunks, logits, this.#options) : undefined;
    for (const [index, unit] of [...model.network.units.entries()].reverse()) {
      const unitInputs = inputs[index] as readonly Float32Array[];
      const saved = decodeCheckpoint(await checkpoints?.read(key, unit.name), key);
      if (saved) {
        for (const layer of saved.layers) {
          this.#quantized.set(layer.name, { layer, weight: saved.weights.get(layer.name) });
        }
        const own = perturbs ? undefined : gradients;
        await reportSaved(this.#control.onLayer, walk, unit, unitInputs, own, this.#quantized);
        gradients = saved.gradients && splitLike(saved.gradients, unitInputs, drawsOf(this.#options));
        this.#meter.skip(unit.name, this.#unitWork(unit));
        continue;
      }
      const own =
        this.#needsGradient && perturbs
          ? await perturbationGradients(walk, index, inputs, logits, this.#options)
          : gradients;
      const done = await this.#quantizeUnit(walk, unit, unitInputs, own);
      gradients = perturbs ? undefined : done.gradients;
      for (const result of done.layers) this.#quantized.set(result.layer.name, result);
      await checkpoints?.write(
        key,
        unit.name,
        encodeCheckpoint({
          key,
          layers: done.layers.map(({ layer }) => layer),
          weights: new Map(done.layers.flatMap(({ layer, weight }) => (weight ? [[layer.name, weight]] : []))),
          gradients: gradients && concatenate(gradients),
        }),
      );
    }
    await checkpoints?.remove(key);
  }

  /** Takes up the mean error of every layer in its bias, on inputs of the network that is quantized up to it. */
  async #correctBiases(model: Model): Promise<void> {
    using parameters = new ParameterStore(this.#pool, model);
    const context: ExecutionContext = { device: this.#gpu.device, pool: this.#pool, parameters };
    const results = searchedLayers(model.network).map(({ name }) => this.#quantized.get(name) as QuantizedLayer);
    const network = {
      model,
      layers: results.map(({ layer }) => layer),
      weights: new Map(results.flatMap(({ layer, weight }) => (weight ? [[layer.name, weight] as const] : []))),
      chunks: this.#chunks,
    };
    const { correctNetworkBiases } = await import('./compensation/networkBias.ts');
    const biases = await this.#timed('bias correction', () =>
      correctNetworkBiases(context, network, () => {
        this.#control.signal?.throwIfAborted();
      }),
    );
    for (const { layer, weight } of results) {
      const bias = biases.get(layer.name);
      if (weight && bias) this.#quantized.set(layer.name, { layer, weight: { ...weight, bias } });
    }
  }

  async #quantizeUnit(
    walk: Walk,
    unit: Unit,
    inputs: readonly Float32Array[],
    gradients: readonly Float32Array[] | undefined,
  ): Promise<{ layers: QuantizedLayer[]; gradients: readonly Float32Array[] | undefined }> {
    let layers: QuantizedLayer[] = [];
    const started = performance.now();
    const onCapture = (images: number) => this.#meter.advance(unit.name, images * this.#captureWork(unit));
    const visit = async (captures: readonly UnitCapture[]): Promise<void> => {
      this.#addTime('capture and backward', performance.now() - started);
      layers = await this.#quantizeLayers(walk, unit, captures);
      this.#gpu.check();
    };
    const averaged = this.#needsGradient && this.#options.gradientSeed === 'perturbation';
    const inputGradients = await visitUnit(walk, unit, inputs, gradients, onCapture, visit, averaged);
    return { layers, gradients: inputGradients };
  }

  /** The weight of each layer is compensated while the next layer is searched: `compensation` is the time in which no layer is. */
  async #quantizeLayers(walk: Walk, unit: Unit, captures: readonly UnitCapture[]): Promise<QuantizedLayer[]> {
    const started = performance.now();
    let searching = 0;
    const works = hostWorkFirst(unit).map((operation) => async () => {
      const before = performance.now();
      const finish = await this.#searchLayer(walk, unit, operation, captures);
      searching += performance.now() - before;
      this.#addTime(`search ${layerKind(operation.name)}`, performance.now() - before);
      return finish;
    });
    const found = new Map((await pipelined(works)).map((result) => [result.layer.name, result]));
    this.#addTime('compensation', performance.now() - started - searching);
    return unit.operations.filter(isSearched).map(({ name }) => found.get(name) as QuantizedLayer);
  }

  async #searchLayer(
    { context, model }: Walk,
    unit: Unit,
    operation: SearchedOperation,
    captures: readonly UnitCapture[],
  ): Promise<() => Promise<QuantizedLayer>> {
    const options = layerOptions(this.#options, operation.name);
    const macs = this.#images.length * multiplyAccumulates(productGeometry(operation, unit));
    const planned = layerWork(operation, unit, options, this.#images.length);
    let spent = 0;
    const onCandidates = (count: number) => {
      this.#candidates += count;
      this.#candidateMacs += count * macs;
      const work = Math.min(count * macs, planned.search - spent); // a search may look at more than was reckoned
      spent += work;
      this.#meter.advance(unit.name, work);
    };
    const { onLayer } = this.#control;
    const started = performance.now();
    const finish = await quantizeLayer(context, model, unit, operation, captures, options, onCandidates);
    const milliseconds = performance.now() - started;
    this.#meter.advance(unit.name, planned.search - spent);
    return async () => {
      const result = await finish();
      this.#meter.advance(unit.name, planned.compensation);
      await report(onLayer, { context, model }, { unit, operation }, captures, result, milliseconds);
      return result;
    };
  }

  #captureWork(unit: Unit): number {
    const passes = this.#needsGradient ? 1 + 2 * drawsOf(this.#options) : 1;
    return passes * FLOAT_MAC_WORK * unitMacs(unit);
  }

  #unitWork(unit: Unit): number {
    const images = this.#images.length;
    return unit.operations
      .filter(isSearched)
      .map((operation) => layerWork(operation, unit, layerOptions(this.#options, operation.name), images))
      .reduce((work, { search, compensation }) => work + search + compensation, images * this.#captureWork(unit));
  }

  #totalWork(): number {
    const { units } = this.#model.network;
    const forward = this.#images.length * FLOAT_MAC_WORK * units.reduce((sum, unit) => sum + unitMacs(unit), 0);
    return forward + units.reduce((sum, unit) => sum + this.#unitWork(unit), 0);
  }

  async #timed<T>(stage: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await work();
    } finally {
      this.#addTime(stage, performance.now() - started);
    }
  }

  #addTime(stage: string, ms: number): void {
    this.#stages[stage] = (this.#stages[stage] ?? 0) + ms;
  }
}

/** The searched layers of a unit, those whose weights take the longest to compensate first: others are searched meanwhile. */
function hostWorkFirst(unit: Unit): SearchedOperation[] {
  const depth = (operation: SearchedOperation) => (operation.kind === 'linear' ? operation.inFeatures : 0);
  return unit.operations.filter(isSearched).toSorted((a, b) => depth(b) - depth(a));
}

function unitMacs(unit: Unit): number {
  return unit.operations
    .filter(isSearched)
    .reduce((sum, operation) => sum + multiplyAccumulates(productGeometry(operation, unit)), 0);
}

/** `attn.qkv` of `blocks.3.attn.qkv` and of `layers.1.blocks.0.attn.qkv`: layers of one kind share a stage. */
function layerKind(name: string): string {
  return name.replace(/^(layers\.\d+\.)?(blocks\.\d+\.)?/, '');
}

function splitLike(whole: Float32Array, parts: readonly Float32Array[], times: number): Float32Array[] {
  let offset = 0;
  return parts.map(({ length }) => whole.slice(offset, (offset += times * length)));
}
