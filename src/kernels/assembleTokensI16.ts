import body from '../../shaders/assemble_tokens_i16.wgsl?raw';
import library from '../../shaders/lib_fixed_point.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom } from './codes.ts';
import { int16Words } from './int16.ts';
import { requireSizes } from './sizes.ts';

export const assembleTokensI16Kernel = {
  name: 'assemble_tokens_i16',
  wgsl: `${body}\n${library}`,
  bindings: { x: 'read', tokens: 'read', y: 'read_write' },
  params: { images: 'u32', rows: 'u32', prefix_rows: 'u32', words: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface AssembleTokensI16Shape {
  readonly images: number;
  readonly rows: number;
  /** Class and distillation tokens; 0 is allowed. */
  readonly prefixRows: number;
  readonly features: number;
}

/**
 * Prepares `y = [prefix; saturate(x + position)]` for every image, all in one scale.
 *
 * @param buffers.x u32 `[images][rows][words]`, int16 two a word
 * @param buffers.tokens u32 `[prefixRows + rows][words]`: prefix tokens with their positions added, then positions
 * @param buffers.y u32 `[images][prefixRows + rows][words]`
 * @throws RangeError for a bad size or a buffer too small
 */
export async function assembleTokensI16(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof assembleTokensI16Kernel.bindings, Bindable>>,
  { images, rows, prefixRows, features }: AssembleTokensI16Shape,
): Promise<Dispatch> {
  requireSizes({ images, rows, features });
  checkIntegers({ prefixRows }, 0);
  const words = int16Words(features);
  checkRoom('x', buffers.x, images * rows * words);
  checkRoom('tokens', buffers.tokens, (prefixRows + rows) * words);
  const count = images * (prefixRows + rows) * words;
  checkRoom('y', buffers.y, count);
  const grid = gridFor(device, count, assembleTokensI16Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, assembleTokensI16Kernel, buffers, { images, rows, prefix_rows: prefixRows, words }, grid);
}
