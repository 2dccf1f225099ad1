import wgsl from '../../shaders/softmax_backward_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const softmaxBackwardF32Kernel = {
  name: 'softmax_backward_f32',
  wgsl,
  bindings: { y: 'read', dy: 'read', dx: 'read_write' },
  params: { rows: 'u32', columns: 'u32', scale: 'f32' },
  overrides: { WORKGROUP_SIZE: 32 },
} as const satisfies Kernel;

export interface SoftmaxBackwardF32Shape {
  readonly rows: number;
  readonly columns: number;
  readonly scale: number;
}

/**
 * Prepares the gradient of `softmax(scale * x)` with respect to x.
 *
 * @param buffers.y f32 `[rows, columns]`, the output of the forward pass
 * @param buffers.dy f32 `[rows, columns]`, gradient of the output
 * @param buffers.dx f32 `[rows, columns]`, gradient of x
 * @throws RangeError for a size below 1
 */
export async function softmaxBackwardF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof softmaxBackwardF32Kernel.bindings, GPUBuffer>>,
  shape: SoftmaxBackwardF32Shape,
): Promise<Dispatch> {
  const { rows, columns } = shape;
  requireSizes({ rows, columns });
  const grid = gridFor(device, rows, softmaxBackwardF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, softmaxBackwardF32Kernel, buffers, { ...shape }, grid);
}
