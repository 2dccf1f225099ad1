import wgsl from '../../shaders/assemble_tokens_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const assembleTokensF32Kernel = {
  name: 'assemble_tokens_f32',
  wgsl,
  bindings: { x: 'read', prefix: 'read', position: 'read', y: 'read_write' },
  params: { images: 'u32', rows: 'u32', prefix_rows: 'u32', features: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface AssembleTokensF32Shape {
  readonly images: number;
  readonly rows: number;
  readonly prefixRows: number;
  readonly features: number;
}

/**
 * Prepares `y = [prefix; x] + position` for every image.
 *
 * @param buffers.x f32 `[images, rows, features]`
 * @param buffers.prefix f32 `[prefixRows, features]`
 * @param buffers.position f32 `[prefixRows + rows, features]`
 * @param buffers.y f32 `[images, prefixRows + rows, features]`
 * @throws RangeError for a size below 1
 */
export async function assembleTokensF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof assembleTokensF32Kernel.bindings, GPUBuffer>>,
  shape: AssembleTokensF32Shape,
): Promise<Dispatch> {
  const { images, rows, prefixRows, features } = shape;
  requireSizes({ images, rows, features });
  if (prefixRows < 0) throw new RangeError(`prefixRows is ${prefixRows}, must not be negative`);
  const grid = gridFor(
    device,
    images * (prefixRows + rows) * features,
    assembleTokensF32Kernel.overrides.WORKGROUP_SIZE,
  );
  return prepare(
    device,
    assembleTokensF32Kernel,
    buffers,
    { images: shape.images, rows: shape.rows, prefix_rows: shape.prefixRows, features: shape.features },
    grid,
  );
}
