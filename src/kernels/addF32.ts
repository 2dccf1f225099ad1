import wgsl from '../../shaders/add_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const addF32Kernel = {
  name: 'add_f32',
  wgsl,
  bindings: { a: 'read', b: 'read', y: 'read_write' },
  params: { count: 'u32', scale: 'f32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface AddF32Shape {
  readonly count: number;
  readonly scale: number;
}

/**
 * Prepares `y = (a + b) * scale`.
 *
 * @param buffers.a f32 `[count]`
 * @param buffers.b f32 `[count]`; may be the buffer of a
 * @param buffers.y f32 `[count]`, neither a nor b
 * @throws RangeError for a size below 1
 */
export async function addF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof addF32Kernel.bindings, GPUBuffer>>,
  shape: AddF32Shape,
): Promise<Dispatch> {
  const { count } = shape;
  requireSizes({ count });
  const grid = gridFor(device, count, addF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, addF32Kernel, buffers, { ...shape }, grid);
}
