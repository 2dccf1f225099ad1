import { largestSums } from '../format/bounds.ts';
import type { IntegerModel } from '../format/model.ts';
import type { IntegerTensor } from '../format/program.ts';
import { readModelFile } from '../format/readModelFile.ts';
import { DeviceLostError, GpuError, UnsupportedDeviceError } from '../gpu/errors.ts';
import type { DecodedImage } from '../io/images.ts';
import { preprocess } from '../io/preprocess.ts';
import { matmulRequantizeKernel } from '../kernels/matmulRequantize.ts';
import { plainVariant } from '../kernels/matmulVariant.ts';
import { classification, type Classification } from './classification.ts';
import { codesOf, type FloatKind } from './context.ts';
import { ParameterStore } from './parameterStore.ts';
import { largestBatch } from './plan.ts';
import { profileSteps, type OperationTime } from './profile.ts';
import { encode, logitBytes, unpackLogits, type Recording } from './recording.ts';
import { Recordings, type RecordingOptions } from './recordings.ts';
import { StagingRing } from './staging.ts';
import { chooseTiles, type ProductShape, type TileChoice, type TileOptions } from './tiles.ts';

export interface SessionOptions {
  /** Names the file in errors. Default 'model'. */
  readonly file?: string;
  /** `mixed` computes softmax, GELU and LayerNorm in float between the integer products. Default `integer`. */
  readonly runtime?: 'integer' | 'mixed';
  /** The kinds that `mixed` computes in float. Default all three. */
  readonly float?: readonly FloatKind[];
  /** How products are cut into tiles: by measurement under these options, `plain` for all, or as given. Logits do not depend on it. */
  readonly tiles?: TileOptions | TileChoice | 'plain';
  /** Images that go through the network together, at most. Default as many as fit the device's limits, 64 at most. */
  readonly maxBatch?: number;
}

/** What a session finds in a picture: its integer logits, and the classes that they make most probable. */
export interface ClassifiedImage extends Classification {
  readonly logits: Int32Array<ArrayBuffer>;
  /** Real value of one unit of a logit. */
  readonly logitScale: number;
}

/** A quantized model on a device. */
export interface Session {
  /** Without the codes of its weights, its tokens and attention biases, which are on the device alone. */
  readonly model: IntegerModel;
  /** Real value of one unit of a logit. */
  readonly logitScale: number;
  readonly numClasses: number;
  /** Images that go through the network together; a larger batch is run in parts. */
  readonly maxBatch: number;
  /** Bytes on the device: what was uploaded, and the arena, as large as the largest batch so far needed. */
  readonly memory: { readonly weightBytes: number; readonly activationBytes: number };
  /**
   * Logits i32 `[batch][classes]` of pixels uint8 `[batch][height][width][3]` as preprocessed for the model. Several runs may be
   * under way at once; `pixels` must not change until the promise is settled.
   *
   * @throws RangeError on another number of pixels, GpuError from a destroyed session, DeviceLostError,
   *   UnsupportedDeviceError when the memory of the device does not even hold one image
   */
  run(pixels: Uint8Array, batch: number): Promise<Int32Array<ArrayBuffer>>;
  /** The most probable classes of one decoded picture, preprocessed as the model asks; errors as `run`. */
  classify(image: DecodedImage, options?: { readonly top?: number }): Promise<ClassifiedImage>;
  /**
   * Time of each operation for a batch of at most `maxBatch`; undefined from a device without the feature `timestamp-query`.
   */
  profile(pixels: Uint8Array, batch: number): Promise<readonly OperationTime[] | undefined>;
  destroy(): void;
}

/**
 * Uploads a model file and prepares to run it.
 *
 * @throws FormatError what `readModelFile` refuses
 * @throws UnsupportedDeviceError on a device that lacks a limit or the memory, with the number
 */
export async function createSession(
  device: GPUDevice,
  bytes: Uint8Array,
  options: SessionOptions = {},
): Promise<Session> {
  return sessionOf(device, readModelFile(bytes, options.file ?? 'model'), options);
}

/** The session of a model in memory. */
export async function sessionOf(
  device: GPUDevice,
  model: IntegerModel,
  options: SessionOptions = {},
): Promise<Session> {
  const float = floatKinds(options);
  const maxBatch = largestBatch(model.program, checkedLimits(device), options.maxBatch, float);
  const parameters = new ParameterStore(device);
  try {
    await parameters.upload(model, float);
  } catch (error) {
    parameters.destroy();
    throw error;
  }
  const { tiles = {} } = options;
  return new GpuSession(device, withoutWeights(model), parameters, {
    float,
    largestSums: largestSumsOf(model),
    maxBatch,
    tiles: (shapes) => tilesFor(device, shapes, tiles),
  });
}

/** Runs whose logits may be under way at once; more wait before they are submitted. */
const RUNS_IN_FLIGHT = 4;

class GpuSession implements Session {
  readonly model: IntegerModel;
  readonly logitScale: number;
  readonly numClasses: number;
  readonly #device: GPUDevice;
  readonly #input: IntegerTensor;
  readonly #output: IntegerTensor;
  readonly #parameters: ParameterStore;
  readonly #recordings: Recordings;
  readonly #staging: StagingRing;
  /** Preparing and submitting is done by one run after the other, in the order of the calls. */
  #tail: Promise<unknown> = Promise.resolve();
  #failure: Error | undefined;

  constructor(device: GPUDevice, model: IntegerModel, parameters: ParameterStore, options: RecordingOptions) {
    const { input, output, tensors } = model.program;
    this.model = model;
    this.#device = device;
    this.#input = tensors[input] as IntegerTensor;
    this.#output = tensors[output] as IntegerTensor;
    this.numClasses = this.#output.columns;
    this.logitScale = this.#output.scales[0] as number;
    this.#parameters = parameters;
    this.#recordings = new Recordings(device, model, parameters, options);
    this.#staging = new StagingRing(device, RUNS_IN_FLIGHT);
    void device.lost.then(({ reason, message }) => {
      this.#failure ??= new DeviceLostError(`the GPU device was lost (${reason}): ${message}`);
    });
  }

  get maxBatch(): number {
    return this.#recordings.maxBatch;
  }

  get memory() {
    return { weightBytes: this.#parameters.bytes, activationBytes: this.#recordings.bytes };
  }

  async run(pixels: Uint8Array, batch: number): Promise<Int32Array<ArrayBuffer>> {
    this.#checkPixels(pixels, batch);
    const { parts } = await this.#inTurn(() => this.#submitAll(pixels, batch));
    const logits = new Int32Array(batch * this.numClasses);
    let at = 0;
    for (const part of await Promise.all(parts)) {
      logits.set(part, at);
      at += part.length;
    }
    return logits;
  }

  async classify(image: DecodedImage, { top = 5 }: { readonly top?: number } = {}): Promise<ClassifiedImage> {
    const logits = await this.run(preprocess(image, this.model.preprocessing), 1);
    const { logitScale, model } = this;
    return { logits, logitScale, ...classification(logits, logitScale, model.labels, top) };
  }

  async profile(pixels: Uint8Array, batch: number): Promise<readonly OperationTime[] | undefined> {
    this.#checkPixels(pixels, batch);
    if (!this.#device.features.has('timestamp-query')) return undefined;
    return this.#inTurn(async () => {
      const recording = await this.#recordings.next(batch);
      this.#check();
      if (recording.images < batch) {
        throw new RangeError(`at most ${this.maxBatch} images are timed together, got ${batch}`);
      }
      this.#writePixels(recording, pixels);
      return profileSteps(this.#device, recording.steps);
    });
  }

  destroy(): void {
    this.#failure ??= new GpuError('the session was destroyed');
    const free = () => {
      this.#recordings.destroy();
      this.#staging.destroy();
      this.#parameters.destroy();
    };
    free();
    void this.#tail.then(free); // what was being prepared
  }

  /** Submits all parts of a batch; their logits arrive in `parts`. */
  async #submitAll(pixels: Uint8Array, batch: number): Promise<{ readonly parts: Promise<Int32Array>[] }> {
    const imageBytes = pixels.length / batch;
    const parts: Promise<Int32Array>[] = [];
    try {
      for (let first = 0; first < batch;) {
        const recording = await this.#recordings.next(batch - first);
        const staging = await this.#staging.acquire(logitBytes(this.#output, recording.images));
        this.#check();
        const end = first + recording.images;
        const part = this.#submit(recording, pixels.subarray(first * imageBytes, end * imageBytes), staging);
        part.catch(() => undefined); // whoever awaits the parts sees it, but later
        parts.push(part);
        first = end;
      }
    } catch (error) {
      await Promise.allSettled(parts);
      throw error;
    }
    return { parts };
  }

  /** Submits before it first waits, then reads the logits. */
  async #submit(recording: Recording, pixels: Uint8Array, staging: GPUBuffer): Promise<Int32Array> {
    const bytes = logitBytes(this.#output, recording.images);
    try {
      this.#device.pushErrorScope('validation');
      this.#writePixels(recording, pixels);
      const encoder = this.#device.createCommandEncoder();
      encode(encoder, recording, staging, bytes);
      this.#device.queue.submit([encoder.finish()]);
      const invalid = this.#device.popErrorScope();
      const [refused, mapped] = await Promise.allSettled([invalid, staging.mapAsync(GPUMapMode.READ, 0, bytes)]);
      if (refused.status === 'fulfilled' && refused.value) {
        throw new GpuError(`the device refused the network: ${refused.value.message}`);
      }
      if (mapped.status === 'rejected') throw new GpuError('the logits cannot be read', { cause: mapped.reason });
      const words = staging.getMappedRange(0, bytes).slice(0);
      staging.unmap();
      return unpackLogits(words, this.#output);
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve)); // the loss of a device is told after what it breaks
      throw this.#failure ?? error;
    } finally {
      this.#staging.release(staging);
    }
  }

  #writePixels({ input: { buffer, offset } }: Recording, pixels: Uint8Array): void {
    const whole = pixels.length % 4 === 0 ? pixels : new Uint8Array(4 * Math.ceil(pixels.length / 4));
    if (whole !== pixels) whole.set(pixels);
    this.#device.queue.writeBuffer(buffer, offset, whole as BufferSource);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      this.#check();
      try {
        return await task();
      } catch (error) {
        throw this.#failure ?? error;
      }
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }

  #check(): void {
    if (this.#failure) throw this.#failure;
  }

  #checkPixels(pixels: Uint8Array, batch: number): void {
    this.#check();
    if (!Number.isInteger(batch) || batch < 1) {
      throw new RangeError(`a batch has at least one image, got ${batch}`);
    }
    const { rows: height, columns: width } = this.#input;
    const expected = batch * height * width * 3;
    if (pixels.length !== expected) {
      throw new RangeError(
        `${batch} images of ${width} x ${height} have ${expected} bytes of pixels, got ${pixels.length}; preprocess them for the model`,
      );
    }
  }
}

function floatKinds({ runtime = 'integer', float }: SessionOptions): ReadonlySet<FloatKind> {
  if (runtime === 'mixed') return new Set(float ?? ['softmax', 'gelu', 'layerNorm']);
  if (float && float.length > 0) throw new RangeError(`the integer runtime has no float ${float.join(', ')}`);
  return new Set();
}

async function tilesFor(
  device: GPUDevice,
  shapes: readonly ProductShape[],
  tiles: NonNullable<SessionOptions['tiles']>,
): Promise<TileChoice> {
  if (tiles === 'plain') return { variantFor: ({ columns }) => plainVariant(columns) };
  return 'variantFor' in tiles ? tiles : chooseTiles(device, shapes, tiles);
}

/** @throws UnsupportedDeviceError when the largest kernel binds more buffers than the device allows */
function checkedLimits({ limits }: GPUDevice): GPUSupportedLimits {
  const needed = Object.keys(matmulRequantizeKernel.bindings).length;
  const most = limits.maxStorageBuffersPerShaderStage;
  if (most >= needed) return limits;
  throw new UnsupportedDeviceError(
    `integer products bind ${needed} storage buffers, the maxStorageBuffersPerShaderStage of this device is ${most}`,
  );
}

/** By the name of a linear, the bound that its weights and bias allow. */
function largestSumsOf({ program, linear }: IntegerModel): Map<string, number> {
  const sums = new Map<string, number>();
  for (const operation of program.operations) {
    if (operation.kind !== 'linear') continue;
    const { name, input, inFeatures, outFeatures } = operation;
    const parameters = linear.get(name);
    if (!parameters) throw new Error(`the model has no parameters ${name}`);
    const { codes, bias } = parameters;
    const source = codesOf(program.tensors[input] as IntegerTensor, input);
    sums.set(name, largestSums(codes, outFeatures, inFeatures, source, bias).sum);
  }
  return sums;
}

/** The model without the arrays that only the device needs. */
function withoutWeights(model: IntegerModel): IntegerModel {
  const none = new Int8Array(0);
  const linear = new Map([...model.linear].map(([name, parameters]) => [name, { ...parameters, codes: none }]));
  return { ...model, linear, tokens: new Map(), biases: new Map() };
}
