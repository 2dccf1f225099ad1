import { UnsupportedDeviceError } from './errors.ts';

export type NumericArray = Float32Array | Uint32Array | Int32Array | Uint8Array | Int8Array;

/** Usage of every storage buffer here: kernels read and write it, the queue copies to and from it. */
const STORAGE_USAGE = 0x80 | 0x8 | 0x4; // STORAGE | COPY_DST | COPY_SRC, spelled out: `GPUBufferUsage` is absent until a device is open

/** Bytes that all pools of a device hold, and the most that they held at once. */
const held = new WeakMap<GPUDevice, { now: number; most: number }>();

/** The most bytes that the pools of `device` held at once. */
export function mostHeldBytes(device: GPUDevice): number {
  return held.get(device)?.most ?? 0;
}

/**
 * Device memory of one job: hands out storage buffers, takes them back for reuse by exact size, counts the peak.
 * Contents of a buffer are undefined unless `zero` or `upload` made it.
 */
export class BufferPool implements Disposable {
  readonly device: GPUDevice;
  readonly #free = new Map<number, GPUBuffer[]>();
  readonly #live = new Set<GPUBuffer>();
  #liveBytes = 0;
  #heldBytes = 0;
  #peakBytes = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** Most bytes this pool ever held, buffers waiting for reuse included. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  /**
   * A storage buffer of `bytes`, rounded up to 16.
   *
   * @throws UnsupportedDeviceError when no binding of this device can be that large; the message names `label`
   */
  acquire(bytes: number, label: string): GPUBuffer {
    const size = Math.max(16, 16 * Math.ceil(bytes / 16));
    const limit = Math.min(this.device.limits.maxStorageBufferBindingSize, this.device.limits.maxBufferSize);
    if (size > limit) {
      throw new UnsupportedDeviceError(
        `${label} needs ${size} bytes in one buffer, this device binds at most ${limit}; use fewer images a chunk or a smaller model`,
      );
    }
    let buffer = this.#free.get(size)?.pop();
    if (!buffer) {
      if (this.#heldBytes + size > this.#peakBytes) this.#peakBytes = this.#heldBytes + size;
      buffer = this.device.createBuffer({ label, size, usage: STORAGE_USAGE });
      this.#hold(size);
    }
    this.#live.add(buffer);
    this.#liveBytes += size;
    return buffer;
  }

  /** A buffer whose first bytes are `data`; the rest is zero or old. */
  upload(data: NumericArray, label: string): GPUBuffer {
    const buffer = this.acquire(data.byteLength, label);
    const whole = data.byteLength % 4 === 0 ? data : padToWord(data);
    this.device.queue.writeBuffer(buffer, 0, whole as BufferSource);
    return buffer;
  }

  /** A buffer full of zeros. */
  zeros(bytes: number, label: string): GPUBuffer {
    const buffer = this.acquire(bytes, label);
    const encoder = this.device.createCommandEncoder();
    encoder.clearBuffer(buffer);
    this.device.queue.submit([encoder.finish()]);
    return buffer;
  }

  /** Takes `buffer` back for reuse. Releasing a buffer twice, or one from elsewhere, is an error. */
  release(buffer: GPUBuffer): void {
    if (!this.#live.delete(buffer))
      throw new Error(`buffer ${buffer.label} was released twice or is not from this pool`);
    this.#liveBytes -= buffer.size;
    const waiting = this.#free.get(buffer.size);
    if (waiting) waiting.push(buffer);
    else this.#free.set(buffer.size, [buffer]);
  }

  /** Gives the memory that waits for reuse back to the device. */
  trim(): void {
    for (const waiting of this.#free.values()) {
      for (const buffer of waiting) {
        this.#hold(-buffer.size);
        buffer.destroy();
      }
    }
    this.#free.clear();
    this.device.queue.submit([]); // Dawn frees at a submit
  }

  /** A group of buffers that are released together. */
  scope(): BufferScope {
    return new BufferScope(this);
  }

  destroy(): void {
    for (const buffer of this.#live) {
      this.#hold(-buffer.size);
      buffer.destroy();
    }
    this.#live.clear();
    this.trim();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    const all = held.get(this.device) ?? { now: 0, most: 0 };
    all.now += bytes;
    all.most = Math.max(all.most, all.now);
    held.set(this.device, all);
  }
}

/** Buffers with one end of life. `release` returns all of them to the pool but those that were `keep`t. */
export class BufferScope {
  readonly pool: BufferPool;
  readonly #owned = new Set<GPUBuffer>();

  constructor(pool: BufferPool) {
    this.pool = pool;
  }

  acquire(bytes: number, label: string): GPUBuffer {
    return this.#own(this.pool.acquire(bytes, label));
  }

  upload(data: NumericArray, label: string): GPUBuffer {
    return this.#own(this.pool.upload(data, label));
  }

  zeros(bytes: number, label: string): GPUBuffer {
    return this.#own(this.pool.zeros(bytes, label));
  }

  /** Takes `buffer` out of this scope: its new owner releases it. */
  keep(buffer: GPUBuffer): GPUBuffer {
    if (!this.#owned.delete(buffer)) throw new Error(`buffer ${buffer.label} is not of this scope`);
    return buffer;
  }

  owns(buffer: GPUBuffer): boolean {
    return this.#owned.has(buffer);
  }

  /** Moves `buffer` from `other` into this scope; one that this scope owns already stays. */
  adopt(buffer: GPUBuffer, other: BufferScope): GPUBuffer {
    return this.owns(buffer) ? buffer : this.#own(other.keep(buffer));
  }

  release(): void {
    for (const buffer of this.#owned) this.pool.release(buffer);
    this.#owned.clear();
  }

  #own(buffer: GPUBuffer): GPUBuffer {
    this.#owned.add(buffer);
    return buffer;
  }
}

function padToWord(data: NumericArray): Uint8Array {
  const padded = new Uint8Array(4 * Math.ceil(data.byteLength / 4));
  padded.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return padded;
}
