import { BINS, magnitudeCounts, type Distribution, type Interval } from './distribution.ts';

/**
 * The range that leaves out `100 - percentile` percent of the values: the largest magnitudes, or, when both ends are free, half of
 * them at each end. Exact to the width of a bin, 1/2048 of the largest magnitude; never less than the true percentile.
 */
export function percentileRange(distribution: Distribution, percentile: number, symmetric: boolean): Interval {
  const { counts, width, low, high } = distribution;
  if (symmetric) {
    const clip = width * binsHolding(magnitudeCounts(distribution), percentile / 100);
    return { low: -clip, high: clip };
  }
  const kept = (1 + percentile / 100) / 2;
  const upper = width * (binsHolding(counts, kept) - BINS);
  const lower = width * (BINS - binsHolding(counts.slice().reverse(), kept));
  return { low: Math.max(low, lower), high: Math.min(high, upper) };
}

/** Of magnitudes in any order: the smallest below or at which the share `percentile` of all lies; sorts `magnitudes`. */
export function exactPercentile(magnitudes: Float32Array, percentile: number): number {
  magnitudes.sort();
  return magnitudes[Math.max(0, Math.ceil((percentile / 100) * magnitudes.length) - 1)] as number;
}

/** How many of the first bins hold at least `share` of all values. */
function binsHolding(counts: Float64Array, share: number): number {
  const wanted = share * counts.reduce((sum, count) => sum + count, 0);
  let held = 0;
  let bins = 0;
  while (bins < counts.length && held < wanted) held += counts[bins++] as number;
  return bins;
}
