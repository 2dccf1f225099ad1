import type { ModelConfig } from './config.ts';

type PatchSizes = Pick<ModelConfig, 'imageSize' | 'patchSize'>;

/**
 * Cuts one image into the rows of the patch embedding, each in the order of a flattened convolution weight.
 *
 * @param planar f32 `[3, imageSize, imageSize]`
 * @returns f32 `[patches, 3 * patchSize * patchSize]`: patches row by row, inside one channel, then y, then x
 */
export function unfoldPatches(planar: Float32Array, config: PatchSizes): Float32Array<ArrayBuffer> {
  const { imageSize } = config;
  requireLength(planar, config);
  return fill(
    new Float32Array(planar.length),
    config,
    (c, y, x) => planar[(c * imageSize + y) * imageSize + x] as number,
  );
}

/**
 * Exact 8-bit codes of the same rows: pixel - 128.
 *
 * @param rgb interleaved `[imageSize, imageSize, 3]`
 * @returns int8 `[patches, 3 * patchSize * patchSize]` in the order of `unfoldPatches`
 */
export function patchCodes(rgb: Uint8Array, config: PatchSizes): Int8Array<ArrayBuffer> {
  const { imageSize } = config;
  requireLength(rgb, config);
  return fill(new Int8Array(rgb.length), config, (c, y, x) => (rgb[(y * imageSize + x) * 3 + c] as number) - 128);
}

function requireLength(pixels: { readonly length: number }, { imageSize }: PatchSizes): void {
  if (pixels.length !== 3 * imageSize * imageSize) {
    throw new RangeError(
      `an image of ${imageSize} x ${imageSize} has ${3 * imageSize ** 2} values, got ${pixels.length}`,
    );
  }
}

function fill<T extends Float32Array | Int8Array>(
  rows: T,
  { imageSize, patchSize }: PatchSizes,
  at: (channel: number, y: number, x: number) => number,
): T {
  let i = 0;
  for (let top = 0; top < imageSize; top += patchSize) {
    for (let left = 0; left < imageSize; left += patchSize) {
      for (let c = 0; c < 3; c++) {
        for (let y = 0; y < patchSize; y++) {
          for (let x = 0; x < patchSize; x++) rows[i++] = at(c, top + y, left + x);
        }
      }
    }
  }
  return rows;
}
