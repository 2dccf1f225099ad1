import { normalizePixels } from '../io/preprocess.ts';
import { packRows } from '../kernels/pack.ts';
import { concatenate } from '../model/concatenate.ts';
import type { Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { patchCodes, unfoldPatches } from '../model/patches.ts';

/** One calibration image, preprocessed as the model wants it. */
export interface CalibrationImage {
  /** Name in the recipe: no path. */
  readonly file: string;
  /** Lowercase hexadecimal SHA-256 of the file. */
  readonly sha256: string;
  /** uint8 `[height, width, 3]` */
  readonly rgb: Uint8Array;
  /** Class that the image shows; the gradient seed `label` needs it. */
  readonly label?: number;
}

/** Images that go through a unit together. */
export type ImageChunk = readonly CalibrationImage[];

/** A chunk is as many images as keep the largest tensor of a unit below this. No result depends on it. */
const CHUNK_TENSOR_BYTES = 8 * 2 ** 20;

/** How many images of `images` go through a unit of `model` together. */
export function imagesPerChunk(model: Model, images: number): number {
  const largest = Math.max(...model.network.units.flatMap((unit: Unit) => Object.values(unit.elements)));
  return Math.max(1, Math.min(images, Math.floor(CHUNK_TENSOR_BYTES / (4 * largest))));
}

export function chunksOf(images: readonly CalibrationImage[], size: number): ImageChunk[] {
  return Array.from({ length: Math.ceil(images.length / size) }, (_, i) => images.slice(i * size, (i + 1) * size));
}

/** The float input of the first unit, f32 `[images][patches][3 * patch * patch]`. */
export function chunkPatches(chunk: ImageChunk, { config }: Model): Float32Array {
  return concatenate(chunk.map(({ rgb }) => unfoldPatches(normalizePixels(rgb, config.preprocessing), config)));
}

/** The codes of the first unit's pixel operand, packed rows. */
export function chunkPixelCodes(chunk: ImageChunk, { config }: Model): Uint8Array {
  return packRows(
    chunk.map(({ rgb }) => patchCodes(rgb, config)),
    3 * config.patchSize ** 2,
  );
}
