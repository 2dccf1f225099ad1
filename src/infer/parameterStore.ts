import type { IntegerModel } from '../format/model.ts';
import { BufferPool, type NumericArray } from '../gpu/buffers.ts';
import { UnsupportedDeviceError } from '../gpu/errors.ts';
import type { FloatKind } from './context.ts';
import { modelParameters } from './parameters.ts';

/** What a session uploaded, each once, by the keys of `modelParameters`. */
export class ParameterStore {
  readonly #pool: BufferPool;
  readonly #buffers = new Map<string, GPUBuffer>();

  constructor(device: GPUDevice) {
    this.#pool = new BufferPool(device);
  }

  get bytes(): number {
    return this.#pool.liveBytes;
  }

  /** @throws UnsupportedDeviceError when the device binds no such buffer or has no memory left, with the number */
  async upload(model: IntegerModel, float: ReadonlySet<FloatKind>): Promise<void> {
    const { device } = this.#pool;
    let error: GPUError | null = null;
    device.pushErrorScope('out-of-memory');
    try {
      for (const [key, data] of modelParameters(model, float)) this.#upload(key, data);
    } finally {
      error = await device.popErrorScope();
    }
    if (error) {
      throw new UnsupportedDeviceError(`the device has no ${this.bytes} bytes left for the weights: ${error.message}`);
    }
  }

  get(key: string, make?: () => NumericArray): GPUBuffer {
    const buffer = this.#buffers.get(key) ?? (make && this.#upload(key, make()));
    if (!buffer) throw new Error(`no parameter ${key} was uploaded`);
    return buffer;
  }

  destroy(): void {
    this.#pool.destroy();
  }

  #upload(key: string, data: NumericArray): GPUBuffer {
    const buffer = this.#pool.upload(data, key);
    this.#buffers.set(key, buffer);
    return buffer;
  }
}
