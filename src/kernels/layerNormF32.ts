import wgsl from '../../shaders/layer_norm_f32.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const layerNormF32Kernel = {
  name: 'layer_norm_f32',
  wgsl,
  bindings: { x: 'read', gain: 'read', shift: 'read', y: 'read_write' },
  params: { rows: 'u32', features: 'u32', epsilon: 'f32' },
  overrides: { WORKGROUP_SIZE: 32 },
} as const satisfies Kernel;

export interface LayerNormF32Shape {
  readonly rows: number;
  readonly features: number;
  readonly epsilon: number;
}

/**
 * Prepares layer normalisation of each row.
 *
 * @param buffers.x f32 `[rows, features]`
 * @param buffers.gain f32 `[features]`
 * @param buffers.shift f32 `[features]`
 * @param buffers.y f32 `[rows, features]`, not x
 * @throws RangeError for a size below 1
 */
export async function layerNormF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof layerNormF32Kernel.bindings, Bindable>>,
  shape: LayerNormF32Shape,
): Promise<Dispatch> {
  const { rows, features } = shape;
  requireSizes({ rows, features });
  const grid = gridFor(device, rows, layerNormF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, layerNormF32Kernel, buffers, { ...shape }, grid);
}
