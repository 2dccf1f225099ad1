import wgsl from '../../shaders/accumulate_powers.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkRoom } from './codes.ts';
import { requireSizes } from './sizes.ts';

export const accumulatePowersKernel = {
  name: 'accumulate_powers',
  wgsl,
  bindings: { source: 'read', sums: 'read_write' },
  params: { count: 'u32', repeats: 'u32' },
  overrides: { WORKGROUP_SIZE: 64, POWER: 2 },
} as const satisfies Kernel;

export interface AccumulatePowersShape {
  readonly count: number;
  readonly repeats: number;
  readonly power: 1 | 2;
}

/**
 * Prepares `sums[i] += sum over r of |source[r, i]|^power`, added in the order of r.
 *
 * @param buffers.source f32 `[repeats][count]`
 * @param buffers.sums f32 `[count]`, read and written
 * @throws RangeError for a size below 1 or a buffer too small
 */
export async function accumulatePowers(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof accumulatePowersKernel.bindings, GPUBuffer>>,
  { count, repeats, power }: AccumulatePowersShape,
): Promise<Dispatch> {
  requireSizes({ count, repeats });
  checkRoom('source', buffers.source, count * repeats);
  checkRoom('sums', buffers.sums, count);
  const grid = gridFor(device, count, accumulatePowersKernel.overrides.WORKGROUP_SIZE);
  return prepare(device, accumulatePowersKernel, buffers, { count, repeats }, grid, { POWER: power });
}
