import body from '../../shaders/gelu_backward_f32.wgsl?raw';
import erf from '../../shaders/lib_erf_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const geluBackwardF32Kernel = {
  name: 'gelu_backward_f32',
  wgsl: `${body}\n${erf}`,
  bindings: { x: 'read', dy: 'read', dx: 'read_write' },
  params: { count: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface GeluBackwardF32Shape {
  readonly count: number;
}

/**
 * Prepares the gradient of the exact GELU with respect to its input.
 *
 * @param buffers.x f32 `[count]`, the input of the forward pass
 * @param buffers.dy f32 `[count]`, gradient of the output
 * @param buffers.dx f32 `[count]`, gradient of the input
 * @throws RangeError for a size below 1
 */
export async function geluBackwardF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof geluBackwardF32Kernel.bindings, GPUBuffer>>,
  shape: GeluBackwardF32Shape,
): Promise<Dispatch> {
  const { count } = shape;
  requireSizes({ count });
  const grid = gridFor(device, count, geluBackwardF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, geluBackwardF32Kernel, buffers, { ...shape }, grid);
}
