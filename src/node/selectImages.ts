import type { CalibrationImage } from '../calibrate/imageChunks.ts';
import type { Preprocessing } from '../io/preprocess.ts';
import { InputError } from './errors.ts';
import type { ImageFolder } from './imageFolder.ts';
import { loadImages } from './loadImage.ts';
import { sampleOrder } from './sampleNames.ts';

export interface SelectOptions {
  /** How many images are wanted. */
  readonly count: number;
  /** Of the sample, 0..2^32 - 1. */
  readonly seed: number;
  /** Told why an image cannot be read, which is then left out; without it such an image is an error. */
  readonly onBadImage?: (why: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface ImageSelection {
  /** In byte order of their names. */
  readonly images: readonly CalibrationImage[];
  /** Names of the images that were left out as unreadable. */
  readonly skipped: readonly string[];
}

/** Throws InputError with both numbers when the folder has fewer than `count` images. */
export function requireImages({ path, names }: ImageFolder, count: number): void {
  if (names.length < count) {
    throw new InputError(
      `${path} has ${plural(names.length)}, ${count} are asked for; add images or give --count ${names.length}`,
    );
  }
}

function plural(images: number): string {
  return `${images} image${images === 1 ? '' : 's'}`;
}

/**
 * Loads `count` images of a folder: a seeded sample when it has more. The place of one that is left out as unreadable is
 * taken by the next of the sample as long as there is one.
 *
 * @throws InputError when the folder has fewer than `count` images, or none of them can be read
 * @throws FormatError, InputError naming an unreadable image, without `onBadImage`
 */
export async function selectImages(
  folder: ImageFolder,
  preprocessing: Preprocessing,
  options: SelectOptions,
): Promise<ImageSelection> {
  const { count, seed, onBadImage, onProgress, signal } = options;
  requireImages(folder, count);
  const chosen: CalibrationImage[] = [];
  const skipped: string[] = [];
  const order = sampleOrder(folder.names, seed);
  onProgress?.(0, count);
  for await (const loaded of loadImages(folder.path, order, preprocessing, signal)) {
    if ('image' in loaded) {
      chosen.push(loaded.image);
      onProgress?.(chosen.length, count);
      if (chosen.length === count) break;
    } else {
      if (!onBadImage) throw loaded.bad;
      onBadImage(loaded.bad.message);
      skipped.push(loaded.name);
    }
  }
  if (chosen.length === 0)
    throw new InputError(`${folder.path}: none of its ${plural(folder.names.length)} can be read`);
  const place = new Map(folder.names.map((name, i) => [name, i]));
  chosen.sort((a, b) => (place.get(a.file) as number) - (place.get(b.file) as number));
  return { images: chosen, skipped };
}
