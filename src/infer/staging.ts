/** Buffers that results are copied to and mapped from: as many runs can be under way at once. */
export class StagingRing {
  readonly #device: GPUDevice;
  readonly #most: number;
  readonly #free: GPUBuffer[] = [];
  readonly #taken = new Set<GPUBuffer>();
  #waiting: (() => void)[] = [];

  constructor(device: GPUDevice, most: number) {
    this.#device = device;
    this.#most = most;
  }

  /** A buffer of at least `bytes`, unmapped; waits while all are taken. */
  async acquire(bytes: number): Promise<GPUBuffer> {
    while (this.#taken.size >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let buffer = this.#free.pop();
    if (buffer && buffer.size < bytes) {
      buffer.destroy();
      buffer = undefined;
    }
    buffer ??= this.#device.createBuffer({
      label: 'logits readback',
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    this.#taken.add(buffer);
    return buffer;
  }

  /** Takes back `buffer`, which is not mapped. */
  release(buffer: GPUBuffer): void {
    if (this.#taken.delete(buffer)) this.#free.push(buffer);
    this.#waiting.shift()?.();
  }

  /** Frees every buffer, those under way included: their `mapAsync` is rejected. */
  destroy(): void {
    for (const buffer of [...this.#free, ...this.#taken]) buffer.destroy();
    this.#free.length = 0;
    this.#taken.clear();
    for (const resume of this.#waiting) resume();
    this.#waiting = [];
  }
}
