import wgsl from '../../shaders/root_mean.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkRoom } from './codes.ts';
import { requireSizes } from './sizes.ts';

export const rootMeanKernel = {
  name: 'root_mean',
  wgsl,
  bindings: { sums: 'read', y: 'read_write' },
  params: { count: 'u32', repeats: 'u32', factor: 'f32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface RootMeanShape {
  readonly count: number;
  readonly repeats: number;
  /** What makes a sum a mean: 1 / terms. */
  readonly factor: number;
}

/**
 * Prepares `y[r, i] = sqrt(sums[i] * factor)` for every repeat r.
 *
 * @param buffers.sums f32 `[count]`, not negative
 * @param buffers.y f32 `[repeats][count]`, not the buffer of `sums`
 * @throws RangeError for a size below 1 or a buffer too small
 */
export async function rootMean(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof rootMeanKernel.bindings, GPUBuffer>>,
  shape: RootMeanShape,
): Promise<Dispatch> {
  const { count, repeats } = shape;
  requireSizes({ count, repeats });
  checkRoom('sums', buffers.sums, count);
  checkRoom('y', buffers.y, count * repeats);
  const grid = gridFor(device, count * repeats, rootMeanKernel.overrides.WORKGROUP_SIZE);
  return prepare(device, rootMeanKernel, buffers, { ...shape }, grid);
}
