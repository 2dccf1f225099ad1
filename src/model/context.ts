import type { BufferPool, BufferScope } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import type { SearchedOperation } from './graph.ts';
import type { ParameterStore } from './parameterStore.ts';

/** Tensors of a chunk of images by name, f32 `[images][elements]`. */
export type Tensors = Map<string, GPUBuffer>;

/** Where a model runs. */
export interface ExecutionContext {
  readonly device: GPUDevice;
  readonly pool: BufferPool;
  readonly parameters: ParameterStore;
}

/**
 * Computes one searched layer in its own way (simulated quantization, for one). It gets the tensors computed so far and
 * fills `output`, f32 `[images][elements]`; temporary buffers belong to `scope`, which lives until the unit is done. All
 * earlier work of the unit is submitted before it is called; the dispatches it returns are submitted after.
 */
export type SearchedExecutor = (
  operation: SearchedOperation,
  tensors: ReadonlyMap<string, GPUBuffer>,
  images: number,
  output: GPUBuffer,
  scope: BufferScope,
) => Promise<Dispatch[]>;
