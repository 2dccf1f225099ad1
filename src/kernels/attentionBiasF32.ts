import wgsl from '../../shaders/attention_bias_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const attentionBiasF32Kernel = {
  name: 'attention_bias_f32',
  wgsl,
  bindings: { x: 'read', table: 'read', pairs: 'read', regions: 'read', y: 'read_write' },
  params: { images: 'u32', windows: 'u32', heads: 'u32', tokens: 'u32', masked: 'u32', scale: 'f32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface AttentionBiasF32Shape {
  readonly images: number;
  readonly windows: number;
  readonly heads: number;
  /** Of a window. */
  readonly tokens: number;
  readonly scale: number;
}

/**
 * Prepares `y = scale * x + bias of the pair of tokens`, less 100 between tokens of different regions of a window.
 *
 * @param buffers.x f32 `[images, windows, heads, tokens, tokens]`
 * @param buffers.table f32 `[rows, heads]`
 * @param buffers.pairs i32 `[tokens, tokens]`, rows of the table
 * @param buffers.regions i32 `[windows, tokens]`; null for no mask
 * @param buffers.y f32, as x; another buffer
 * @throws RangeError for a size below 1
 */
export async function attentionBiasF32(
  device: GPUDevice,
  buffers: {
    readonly x: GPUBuffer;
    readonly table: GPUBuffer;
    readonly pairs: GPUBuffer;
    readonly regions: GPUBuffer | null;
    readonly y: GPUBuffer;
  },
  { images, windows, heads, tokens, scale }: AttentionBiasF32Shape,
): Promise<Dispatch> {
  requireSizes({ images, windows, heads, tokens });
  return prepare(
    device,
    attentionBiasF32Kernel,
    { ...buffers, regions: buffers.regions ?? buffers.pairs },
    { images, windows, heads, tokens, masked: buffers.regions ? 1 : 0, scale },
    gridFor(device, images * windows * heads * tokens ** 2, attentionBiasF32Kernel.overrides.WORKGROUP_SIZE),
  );
}
