import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { ParameterStore, type ExecutionContext } from '../model/execute.ts';
import type { Model } from '../model/load.ts';
import { observeUnit, startStatistics } from './forwardStatistics.ts';
import { chunksOf, imagesPerChunk, type CalibrationImage } from './imageChunks.ts';
import { forwardUnits } from './sweep.ts';
import { deadLeaves } from './syntheticImages.ts';

/**
 * Least share of photographic patches that calibration images are expected to have. Photographs have 0.8 to 1 with few exceptions,
 * 0.95 in the mean; drawn objects on textured backgrounds 0.7; line drawings 0.2 to 0.45; noise and plain colours 0.
 */
export const LEAST_PHOTOGRAPHIC = 0.6;
/** A patch whose grey values (0..255) have less variance is a plain colour. */
const LEAST_VARIANCE = 4;
/** A patch whose neighbouring pixels correlate less is noise, or strokes as thin as a pixel. */
const LEAST_CORRELATION = 0.3;
/** Most images that the ranges are compared on, and the seed they are drawn with. */
const REFERENCE_IMAGES = 8;
const REFERENCE_SEED = 0;

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

/**
 * What a person should know of calibration images that are unlike photographs: how unlike, and how far the ranges of activations on
 * them lie from those on drawn images with the statistics of photographs. Nothing for photographs.
 *
 * @param ranges `integer.ranges` of the recipe made with the images
 */
export async function imageWarnings(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  ranges: Readonly<Record<string, number>>,
): Promise<string[]> {
  const share = photographicShare(images, model.config);
  if (share >= LEAST_PHOTOGRAPHIC) return [];
  const count = Math.min(images.length, REFERENCE_IMAGES);
  const { median, largest, name } = rangeShift(ranges, await referenceRanges(gpu, model, count));
  return [
    `the calibration images are unlike photographs: ${(100 * share).toFixed(0)} % of their patches have the contrast and the ` +
      `smoothness of a photograph, expected are ${100 * LEAST_PHOTOGRAPHIC} to 100 %. Ranges of activations may not hold for ` +
      `photographs: they differ from those on scenes with the statistics of photographs by a factor of ${median.toFixed(1)} ` +
      `in the median and ${largest.toFixed(1)} at ${name}. Calibrate with images like those that the model will see`,
  ];
}

export interface RangeShift {
  /** Median over all tensors of the factor between both ranges, at least 1. */
  readonly median: number;
  /** The largest factor and its tensor. */
  readonly largest: number;
  readonly name: string;
}

/** How far ranges lie from others of the same tensors; those that are 0 in one of them are left out. */
export function rangeShift(
  ranges: Readonly<Record<string, number>>,
  reference: Readonly<Record<string, number>>,
): RangeShift {
  const factors = Object.entries(ranges)
    .map(([name, range]) => ({ name, ratio: range / (reference[name] ?? 0) }))
    .filter(({ ratio }) => ratio > 0 && ratio < Infinity)
    .map(({ name, ratio }) => ({ name, factor: Math.max(ratio, 1 / ratio) }))
    .sort((a, b) => a.factor - b.factor);
  const middle = factors[Math.floor(factors.length / 2)];
  const last = factors.at(-1);
  if (!middle || !last) return { median: 1, largest: 1, name: 'none' };
  return { median: middle.factor, largest: last.factor, name: last.name };
}

async function referenceRanges(gpu: Gpu, model: Model, count: number): Promise<Record<string, number>> {
  using pool = new BufferPool(gpu.device);
  using parameters = new ParameterStore(pool, model);
  const context: ExecutionContext = { device: gpu.device, pool, parameters };
  const scenes = Array.from({ length: count }, (_, i): CalibrationImage => {
    return { file: '', sha256: '', rgb: deadLeaves(model.config.imageSize, [REFERENCE_SEED, i]) };
  });
  const statistics = startStatistics(model.network, count);
  const chunks = chunksOf(scenes, imagesPerChunk(model, count));
  await forwardUnits({ context, model, chunks }, (unit, tensors, place) =>
    observeUnit(context, statistics, unit, tensors, place),
  );
  return Object.fromEntries(statistics.ranges);
}
