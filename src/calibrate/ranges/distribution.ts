/** Values of one group of an operand over all images, as range-only calibrators see them. */
export interface Distribution {
  /** Smallest and largest value, exact. */
  readonly low: number;
  readonly high: number;
  /** The same for each image in order. */
  readonly images: readonly Interval[];
  /**
   * Counts `[2 * BINS]` by value: bin BINS + m holds magnitudes from m to m + 1 times `width`, bin BINS - 1 - m those of negative
   * values. Empty for calibrators that need none.
   */
  readonly counts: Float64Array;
  /** The largest magnitude over BINS. */
  readonly width: number;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Bins of the magnitudes of one sign, as many as TensorRT takes. */
export const BINS = 2048;

/** What closed forms need of a distribution. */
export interface Moments {
  readonly mean: number;
  /** Mean of (x - mean)^2. */
  readonly variance: number;
  /** Mean of |x - mean|. */
  readonly deviation: number;
}

/** Moments of a histogram, every value at the middle of its bin: within half a bin of the exact mean and deviation. */
export function histogramMoments({ counts, width }: Distribution): Moments {
  let [total, sum, squares, absolute] = [0, 0, 0, 0];
  const middle = (bin: number) => (bin - BINS + 0.5) * width;
  counts.forEach((count, bin) => {
    total += count;
    sum += count * middle(bin);
  });
  const mean = sum / total;
  counts.forEach((count, bin) => {
    const distance = middle(bin) - mean;
    squares += count * distance * distance;
    absolute += count * Math.abs(distance);
  });
  return { mean, variance: squares / total, deviation: absolute / total };
}

/** Counts `[BINS]` of magnitudes. */
export function magnitudeCounts({ counts }: Distribution): Float64Array {
  return Float64Array.from({ length: BINS }, (_, m) => (counts[BINS + m] as number) + (counts[BINS - 1 - m] as number));
}
