import type { Interval } from './distribution.ts';

/** Weight of what was seen before an image; PyTorch's averaging constant is one minus this. */
const MOMENTUM = 0.9;

/**
 * Ends of a range that follow those of the images one by one, `end = 0.9 end + 0.1 of the image`, from those of the first
 * (PyTorch's MovingAverageMinMaxObserver with batches of one image, so that chunks do not matter).
 */
export function movingAverage(images: readonly Interval[]): Interval {
  const [first, ...others] = images as [Interval, ...Interval[]];
  return others.reduce(
    (range, image) => ({
      low: MOMENTUM * range.low + (1 - MOMENTUM) * image.low,
      high: MOMENTUM * range.high + (1 - MOMENTUM) * image.high,
    }),
    first,
  );
}
