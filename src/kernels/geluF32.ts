import body from '../../shaders/gelu_f32.wgsl?raw';
import erf from '../../shaders/lib_erf_f32.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const geluF32Kernel = {
  name: 'gelu_f32',
  wgsl: `${body}\n${erf}`,
  bindings: { x: 'read', y: 'read_write' },
  params: { count: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface GeluF32Shape {
  readonly count: number;
}

/**
 * Prepares the exact (erf) GELU.
 *
 * @param buffers.x f32 `[count]`
 * @param buffers.y f32 `[count]`, not x
 * @throws RangeError for a size below 1
 */
export async function geluF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof geluF32Kernel.bindings, Bindable>>,
  shape: GeluF32Shape,
): Promise<Dispatch> {
  const { count } = shape;
  requireSizes({ count });
  const grid = gridFor(device, count, geluF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, geluF32Kernel, buffers, { ...shape }, grid);
}
