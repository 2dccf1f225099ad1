import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { ParameterStore, type ExecutionContext } from '../model/execute.ts';
import type { Model } from '../model/load.ts';
import { observeUnit, startStatistics } from './forwardStatistics.ts';
import { chunksOf, imagesPerChunk, type CalibrationImage } from './imageChunks.ts';
import { photographicShare } from './photographicShare.ts';
import { forwardUnits } from './sweep.ts';
import { deadLeaves } from './syntheticImages.ts';

/**
 * Least share of photographic patches that calibration images are expected to have. Photographs have 0.8 to 1 with few exceptions,
 * 0.95 in the mean; drawn objects on textured backgrounds 0.7; line drawings 0.2 to 0.45; noise and plain colours 0.
 */
export const LEAST_PHOTOGRAPHIC = 0.6;
/** Most images that the ranges are compared on, and the seed they are drawn with. */
const REFERENCE_IMAGES = 8;
const REFERENCE_SEED = 0;

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
