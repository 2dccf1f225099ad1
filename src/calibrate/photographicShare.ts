import type { CalibrationImage } from './imageChunks.ts';

/** A patch whose grey values (0..255) have less variance is a plain colour. */
const LEAST_VARIANCE = 4;
/** A patch whose neighbouring pixels correlate less is noise, or strokes as thin as a pixel. */
const LEAST_CORRELATION = 0.3;

/**
 * Share of the patches of all images that look like a part of a photograph: not of one colour, and smooth enough for a pixel to tell
 * of its neighbours.
 *
 * @param images uint8 `[size, size, 3]` each
 * @returns 0..1
 */
export function photographicShare(
  images: readonly Pick<CalibrationImage, 'rgb'>[],
  { imageSize, patchSize }: { readonly imageSize: number; readonly patchSize: number },
): number {
  const side = Math.floor(imageSize / patchSize);
  let photographic = 0;
  for (const { rgb } of images) {
    for (let patch = 0; patch < side * side; patch++) {
      const corner = patchSize * (Math.floor(patch / side) * imageSize + (patch % side));
      if (isPhotographic(rgb, corner, imageSize, patchSize)) photographic++;
    }
  }
  return photographic / (images.length * side * side);
}

function isPhotographic(rgb: Uint8Array, corner: number, width: number, size: number): boolean {
  const grey = (row: number, column: number): number => {
    const at = 3 * (corner + row * width + column);
    return ((rgb[at] as number) + (rgb[at + 1] as number) + (rgb[at + 2] as number)) / 3;
  };
  let [sum, squares, steps] = [0, 0, 0];
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const value = grey(row, column);
      sum += value;
      squares += value * value;
      if (row > 0) steps += (value - grey(row - 1, column)) ** 2;
      if (column > 0) steps += (value - grey(row, column - 1)) ** 2;
    }
  }
  const mean = sum / size ** 2;
  const variance = squares / size ** 2 - mean ** 2;
  const meanStep = steps / (2 * size * (size - 1));
  return variance >= LEAST_VARIANCE && 1 - meanStep / (2 * variance) >= LEAST_CORRELATION;
}
