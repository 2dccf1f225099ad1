import wgsl from '../../shaders/layer_norm_backward_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const layerNormBackwardF32Kernel = {
  name: 'layer_norm_backward_f32',
  wgsl,
  bindings: { x: 'read', gain: 'read', dy: 'read', dx: 'read_write' },
  params: { rows: 'u32', features: 'u32', epsilon: 'f32' },
  overrides: { WORKGROUP_SIZE: 32 },
} as const satisfies Kernel;

export interface LayerNormBackwardF32Shape {
  readonly rows: number;
  readonly features: number;
  readonly epsilon: number;
}

/**
 * Prepares the gradient of layer normalisation with respect to its input.
 *
 * @param buffers.x f32 `[rows, features]`, the input of the forward pass
 * @param buffers.gain f32 `[features]`
 * @param buffers.dy f32 `[rows, features]`, gradient of the output
 * @param buffers.dx f32 `[rows, features]`, gradient of the input
 * @throws RangeError for a size below 1
 */
export async function layerNormBackwardF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof layerNormBackwardF32Kernel.bindings, GPUBuffer>>,
  shape: LayerNormBackwardF32Shape,
): Promise<Dispatch> {
  const { rows, features } = shape;
  requireSizes({ rows, features });
  const grid = gridFor(device, rows, layerNormBackwardF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, layerNormBackwardF32Kernel, buffers, { ...shape }, grid);
}
