import { UnsupportedDeviceError } from '../gpu/errors.ts';
import type { BufferSlice } from '../gpu/kernel.ts';
import type { MemoryPlan } from './plan.ts';

/**
 * The slabs that activations lie in, then the temporaries of float operations, all as large as the largest batch so far asked for:
 * every batch size shares them.
 */
export class Arena {
  readonly #device: GPUDevice;
  #slabs: readonly GPUBuffer[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get bytes(): number {
    return this.#slabs.reduce((sum, { size }) => sum + size, 0);
  }

  holds(plan: MemoryPlan): boolean {
    return bufferSizes(plan).every((bytes, i) => (this.#slabs[i]?.size ?? 0) >= bytes);
  }

  /**
   * Makes room for `plan`. What was bound to the old slabs is void; work already submitted still finishes.
   *
   * @throws UnsupportedDeviceError when the device has no memory left, with the bytes asked for; the arena is empty then
   */
  async grow(plan: MemoryPlan): Promise<void> {
    const sizes = bufferSizes(plan).map((bytes, i) => Math.max(bytes, this.#slabs[i]?.size ?? 0));
    this.destroy();
    this.#device.pushErrorScope('out-of-memory');
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const slabs = sizes.map((size, i) => this.#device.createBuffer({ label: `activations ${i}`, size, usage }));
    const error = await this.#device.popErrorScope();
    if (error) {
      for (const slab of slabs) slab.destroy();
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      throw new UnsupportedDeviceError(
        `the device has no ${bytes} bytes left for the activations of ${plan.images} images: ${error.message}`,
      );
    }
    this.#slabs = slabs;
  }

  /** The bytes of tensor `name` under `plan`, which the arena holds. */
  slice(plan: MemoryPlan, name: string): BufferSlice {
    const planned = plan.tensors.get(name);
    const buffer = planned && this.#slabs[planned.slab];
    if (!buffer) throw new Error(`the arena has no tensor ${name}`);
    return { buffer, offset: planned.offset, size: planned.bytes };
  }

  /** A temporary of `bytes` at most as large as `plan` has them. */
  scratch(plan: MemoryPlan, slot: 'a' | 'b', bytes: number): GPUBuffer {
    const buffer = this.#slabs[plan.slabs.length + (slot === 'a' ? 0 : 1)];
    if (!buffer || bytes > plan.scratch) throw new Error(`a temporary of ${bytes} bytes, planned are ${plan.scratch}`);
    return buffer;
  }

  destroy(): void {
    for (const slab of this.#slabs) slab.destroy();
    this.#slabs = [];
  }
}

function bufferSizes({ slabs, scratch }: MemoryPlan): number[] {
  return scratch > 0 ? [...slabs, scratch, scratch] : [...slabs];
}
