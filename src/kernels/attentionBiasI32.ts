import wgsl from '../../shaders/attention_bias_i32.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkRoom } from './codes.ts';
import { requireSizes } from './sizes.ts';

export const attentionBiasI32Kernel = {
  name: 'attention_bias_i32',
  wgsl,
  bindings: { scores: 'read', index: 'read', values: 'read', regions: 'read', y: 'read_write' },
  params: { groups: 'u32', windows: 'u32', heads: 'u32', tokens: 'u32', entries: 'u32' },
  overrides: { WORKGROUP_SIZE: 64, MASKED: 0 },
} as const satisfies Kernel;

export interface AttentionBiasI32Shape {
  readonly images: number;
  readonly windows: number;
  readonly heads: number;
  /** Of one window. */
  readonly tokens: number;
  /** Values of one head. */
  readonly entries: number;
}

export interface AttentionBiasI32Buffers {
  /** i32 `[images][windows][heads][tokens][tokens]`, Q.K^T. */
  readonly scores: Bindable;
  /** u32 `[tokens][tokens]`, below `entries`. */
  readonly index: Bindable;
  /** i32 `[heads][entries]`, in units of the scores of the head. */
  readonly values: Bindable;
  /** u32 `[windows][tokens]`: tokens of different regions do not attend to each other; null for no mask. */
  readonly regions: Bindable | null;
  /** i32 like `scores`; -2^31 where masked, which `int_softmax` leaves out. */
  readonly y: Bindable;
}

/**
 * Prepares the relative position bias and the mask of windowed attention (Swin, section 3.2), added to integer scores.
 *
 * @throws RangeError for a bad size or a buffer too small
 */
export async function attentionBiasI32(
  device: GPUDevice,
  buffers: AttentionBiasI32Buffers,
  { images, windows, heads, tokens, entries }: AttentionBiasI32Shape,
): Promise<Dispatch> {
  requireSizes({ images, windows, heads, tokens, entries });
  const { regions } = buffers;
  const groups = images * windows;
  const count = groups * heads * tokens ** 2;
  checkRoom('scores', buffers.scores, count);
  checkRoom('index', buffers.index, tokens ** 2);
  checkRoom('values', buffers.values, heads * entries);
  if (regions) checkRoom('regions', regions, windows * tokens);
  checkRoom('y', buffers.y, count);
  return prepare(
    device,
    attentionBiasI32Kernel,
    { ...buffers, regions: regions ?? buffers.index }, // a binding that is not read without a mask
    { groups, windows, heads, tokens, entries },
    gridFor(device, count, attentionBiasI32Kernel.overrides.WORKGROUP_SIZE),
    { MASKED: regions ? 1 : 0 },
  );
}
