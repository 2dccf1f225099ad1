import type { IntegerModel } from '../format/model.ts';
import type { IntegerTensor } from '../format/program.ts';
import { UnsupportedDeviceError } from '../gpu/errors.ts';
import { Arena } from './arena.ts';
import type { FloatKind, StepContext } from './context.ts';
import type { ParameterStore } from './parameterStore.ts';
import { planAlignment, planMemory, type MemoryPlan } from './plan.ts';
import { programShapes, recordSteps, releaseSteps, type Recording } from './recording.ts';
import type { ProductShape, TileChoice } from './tiles.ts';

export interface RecordingOptions {
  readonly float: ReadonlySet<FloatKind>;
  /** Of `StepContext`, by the name of a linear. */
  readonly largestSums: ReadonlyMap<string, number>;
  /** Images that the device's limits allow together. */
  readonly maxBatch: number;
  tiles(shapes: readonly ProductShape[]): Promise<TileChoice>;
}

/** Batch sizes whose dispatches are kept. */
const KEPT = 4;

/** The network recorded for a few batch sizes over one arena. One call at a time. */
export class Recordings {
  readonly #device: GPUDevice;
  readonly #model: IntegerModel;
  readonly #parameters: ParameterStore;
  readonly #options: RecordingOptions;
  readonly #arena: Arena;
  /** By batch size, the one used last at the end. */
  readonly #kept = new Map<number, Recording>();
  #maxBatch: number;

  constructor(device: GPUDevice, model: IntegerModel, parameters: ParameterStore, options: RecordingOptions) {
    this.#device = device;
    this.#model = model;
    this.#parameters = parameters;
    this.#options = options;
    this.#arena = new Arena(device);
    this.#maxBatch = options.maxBatch;
  }

  get bytes(): number {
    return this.#arena.bytes;
  }

  /** Images that go together; less than at first once the device has had no memory for so many. */
  get maxBatch(): number {
    return this.#maxBatch;
  }

  /**
   * The network for the next of `images` images: for all of them, or as many as go together.
   *
   * @throws UnsupportedDeviceError when the device has no memory for a single one
   */
  async next(images: number): Promise<Recording> {
    const size = Math.min(images, this.#maxBatch);
    const kept = this.#kept.get(size);
    if (kept) this.#kept.delete(size);
    const recording = kept ?? (await this.#record(size));
    this.#kept.set(recording.images, recording);
    return recording;
  }

  destroy(): void {
    this.#drop(0);
    this.#arena.destroy();
  }

  async #record(images: number): Promise<Recording> {
    const { float } = this.#options;
    const { program } = this.#model;
    const plan = planMemory(program, images, planAlignment(this.#device.limits), float);
    if (!this.#arena.holds(plan)) {
      this.#drop(0);
      try {
        await this.#arena.grow(plan);
      } catch (error) {
        if (!(error instanceof UnsupportedDeviceError) || images === 1) throw error;
        this.#maxBatch = Math.floor(images / 2);
        return this.#record(this.#maxBatch);
      }
    }
    const tiles = await this.#options.tiles(programShapes(this.#model, images));
    const steps = await recordSteps(this.#context(plan, tiles), float);
    this.#drop(KEPT - 1);
    const [input, output] = [this.#arena.slice(plan, program.input), this.#arena.slice(plan, program.output)];
    return { images, plan, steps, input, output };
  }

  #context(plan: MemoryPlan, tiles: TileChoice): StepContext {
    const { program } = this.#model;
    return {
      device: this.#device,
      images: plan.images,
      model: this.#model,
      tiles,
      tensor: (name) => program.tensors[name] as IntegerTensor,
      activation: (name) => this.#arena.slice(plan, name),
      parameter: (key, make) => this.#parameters.get(key, make),
      scratch: (slot, bytes) => this.#arena.scratch(plan, slot, bytes),
      largestSum: (name) => this.#options.largestSums.get(name) as number,
    };
  }

  /** Forgets all but the `most` recordings used last. */
  #drop(most: number): void {
    for (const [size, { steps }] of this.#kept) {
      if (this.#kept.size <= most) return;
      this.#kept.delete(size);
      releaseSteps(steps);
    }
  }
}
