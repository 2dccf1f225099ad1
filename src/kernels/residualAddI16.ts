import library from '../../shaders/lib_fixed_point.wgsl?raw';
import body from '../../shaders/residual_add_i16.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkRoom } from './codes.ts';
import type { Dyadic } from './dyadic.ts';
import { checkDyadic16 } from './int16.ts';
import { requireSizes } from './sizes.ts';

export const residualAddI16Kernel = {
  name: 'residual_add_i16',
  wgsl: `${body}\n${library}`,
  bindings: { a: 'read', b: 'read', y: 'read_write' },
  params: { words: 'u32', multiplier_a: 'u32', shift_a: 'u32', multiplier_b: 'u32', shift_b: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface ResidualAddI16Params {
  /** Words of two 16-bit integers each. */
  readonly words: number;
  readonly rescaleA: Dyadic;
  readonly rescaleB: Dyadic;
}

/**
 * Prepares `y = saturate(rescale(a) + rescale(b))`, each term rounded by itself (METHOD: residual stream).
 *
 * @param buffers.a u32 `[words]`, two int16 a word; likewise b and y, which is neither a nor b
 * @throws RangeError for a size below 1, a rescale outside the 16-bit form or a buffer too small
 */
export async function residualAddI16(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof residualAddI16Kernel.bindings, Bindable>>,
  { words, rescaleA, rescaleB }: ResidualAddI16Params,
): Promise<Dispatch> {
  requireSizes({ words });
  checkDyadic16('a', rescaleA);
  checkDyadic16('b', rescaleB);
  for (const [name, buffer] of Object.entries(buffers)) checkRoom(name, buffer, words);
  const grid = gridFor(device, words, residualAddI16Kernel.overrides.WORKGROUP_SIZE);
  const params = {
    words,
    multiplier_a: rescaleA.multiplier,
    shift_a: rescaleA.shift,
    multiplier_b: rescaleB.multiplier,
    shift_b: rescaleB.shift,
  };
  return prepare(device, residualAddI16Kernel, buffers, params, grid);
}
