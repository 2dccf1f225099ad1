import wgsl from '../../shaders/patch_codes.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkRoom, codeWords } from './codes.ts';
import { requireSizes } from './sizes.ts';

export const patchCodesKernel = {
  name: 'patch_codes',
  wgsl,
  bindings: { pixels: 'read', codes: 'read_write' },
  params: { images: 'u32', height: 'u32', width: 'u32', patch_size: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface PatchCodesShape {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly patchSize: number;
}

/**
 * Prepares the exact 8-bit codes `pixel - 128` of every patch (METHOD: patch embedding).
 *
 * @param buffers.pixels uint8 `[images][height][width][3]` without gaps, padded at the end to whole words
 * @param buffers.codes u32 `[images][patches][ceil(3 patchSize^2 / 4)]`, a left operand with the depth of a flattened weight
 * @throws RangeError for a size below 1, an image that is no multiple of the patch or a buffer too small
 */
export async function patchCodes(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof patchCodesKernel.bindings, Bindable>>,
  { images, height, width, patchSize }: PatchCodesShape,
): Promise<Dispatch> {
  requireSizes({ images, height, width, patchSize });
  if (height % patchSize !== 0 || width % patchSize !== 0) {
    throw new RangeError(`an image of ${width} x ${height} is no multiple of its patches of ${patchSize}`);
  }
  const words = (images * (height * width) * codeWords(3 * patchSize ** 2)) / patchSize ** 2;
  checkRoom('pixels', buffers.pixels, Math.ceil((images * height * width * 3) / 4));
  checkRoom('codes', buffers.codes, words);
  const grid = gridFor(device, words, patchCodesKernel.overrides.WORKGROUP_SIZE);
  return prepare(device, patchCodesKernel, buffers, { images, height, width, patch_size: patchSize }, grid);
}
