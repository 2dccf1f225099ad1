import wgsl from '../../shaders/softmax_f32.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const softmaxF32Kernel = {
  name: 'softmax_f32',
  wgsl,
  bindings: { x: 'read', y: 'read_write' },
  params: { rows: 'u32', columns: 'u32', scale: 'f32' },
  overrides: { WORKGROUP_SIZE: 32 },
} as const satisfies Kernel;

export interface SoftmaxF32Shape {
  readonly rows: number;
  readonly columns: number;
  readonly scale: number;
}

/**
 * Prepares `y = softmax(scale * x)` of each row.
 *
 * @param buffers.x f32 `[rows, columns]`
 * @param buffers.y f32 `[rows, columns]`, not x
 * @throws RangeError for a size below 1
 */
export async function softmaxF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof softmaxF32Kernel.bindings, Bindable>>,
  shape: SoftmaxF32Shape,
): Promise<Dispatch> {
  const { rows, columns } = shape;
  requireSizes({ rows, columns });
  const grid = gridFor(device, rows, softmaxF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, softmaxF32Kernel, buffers, { ...shape }, grid);
}
