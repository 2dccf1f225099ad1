import type { BufferPool } from '../gpu/buffers.ts';

/** Where quantized work runs. */
export interface GpuContext {
  readonly device: GPUDevice;
  readonly pool: BufferPool;
}
