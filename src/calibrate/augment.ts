import type { Model } from '../model/load.ts';
import type { CalibrationImage } from './imageChunks.ts';
import type { CalibrationOptions } from './options.ts';

/** The images that a calibration runs on: those given and, with `augmentation: mirror`, after them each one mirrored. */
export function augmented(
  images: readonly CalibrationImage[],
  { augmentation }: Pick<CalibrationOptions, 'augmentation'>,
  { config }: Pick<Model, 'config'>,
): readonly CalibrationImage[] {
  if (augmentation === 'none') return images;
  return [...images, ...images.map((image) => ({ ...image, rgb: mirrored(image.rgb, config.preprocessing.width) }))];
}

/** Left and right exchanged; uint8 `[height, width, 3]`. */
function mirrored(rgb: Uint8Array, width: number): Uint8Array {
  const result = new Uint8Array(rgb.length);
  for (let pixel = 0; pixel < rgb.length / 3; pixel++) {
    const column = pixel % width;
    const from = pixel - column + (width - 1 - column);
    for (let channel = 0; channel < 3; channel++) result[3 * pixel + channel] = rgb[3 * from + channel] as number;
  }
  return result;
}
