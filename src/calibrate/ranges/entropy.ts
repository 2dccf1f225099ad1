import { BINS, magnitudeCounts, type Distribution, type Interval } from './distribution.ts';

/** The shortest range that is tried, in bins. */
const FEWEST_BINS = 128;

/**
 * The range whose quantized histogram diverges least from the histogram itself (TensorRT's entropy calibration as NVIDIA's
 * pytorch-quantization computes it): for every number of bins from 128 on, what lies beyond is added to the last bin of the
 * reference; the kept bins are merged into 2^(bits - 1) levels, each spread evenly over its bins that are not empty; the last of
 * equal divergences wins. As there, the first bin counts as much as the second: zeros do not speak for any range.
 */
export function entropyRange(distribution: Distribution, bits: number): Interval {
  const counts = magnitudeCounts(distribution);
  counts[0] = counts[1] as number;
  const levels = 2 ** (bits - 1);
  const beyond = new Float64Array(BINS + 1);
  for (let bin = BINS - 1; bin >= 0; bin--) beyond[bin] = (beyond[bin + 1] as number) + (counts[bin] as number);
  let best = { bins: BINS, divergence: Infinity };
  for (let bins = FEWEST_BINS; bins <= BINS; bins++) {
    const divergence = divergenceOf(counts, bins, levels, beyond[bins] as number);
    if (divergence <= best.divergence) best = { bins, divergence };
  }
  const clip = best.bins * distribution.width;
  return { low: -clip, high: clip };
}

/** KL divergence of the first `bins` counts, `clipped` added to the last, from their quantized form; Infinity where that lacks a value. */
function divergenceOf(counts: Float64Array, bins: number, levels: number, clipped: number): number {
  const sums = new Float64Array(levels);
  const filled = new Float64Array(levels);
  const levelOf = (bin: number) => Math.min(Math.floor((bin * levels) / bins), levels - 1);
  for (let bin = 0; bin < bins; bin++) {
    const count = counts[bin] as number;
    if (count === 0) continue;
    const level = levelOf(bin);
    sums[level] = (sums[level] as number) + count;
    filled[level] = (filled[level] as number) + 1;
  }
  let [quantizedTotal, total, weighted] = [0, 0, 0];
  for (let bin = 0; bin < bins; bin++) {
    const count = counts[bin] as number;
    const level = levelOf(bin);
    const quantized = count === 0 ? 0 : (sums[level] as number) / (filled[level] as number);
    const reference = bin === bins - 1 ? count + clipped : count;
    quantizedTotal += quantized;
    total += reference;
    if (reference > 0) {
      if (quantized === 0) return Infinity;
      weighted += reference * Math.log(reference / quantized);
    }
  }
  return total > 0 ? weighted / total - Math.log(total / quantizedTotal) : Infinity;
}
