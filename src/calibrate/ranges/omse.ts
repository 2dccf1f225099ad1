import { scaleOf, type CodeRange } from '../../quantize/codeRange.ts';
import { BINS, type Distribution, type Interval } from './distribution.ts';

/** Ranges that are tried, as fractions i / GRID of the whole range. */
const GRID = 128;

/**
 * The range of the least mean squared quantization error (OMSE: Choukroun et al., 2019, section 3.1), both ends drawn in by one factor of a
 * grid. The error is the exact integral for values that lie evenly inside each bin of the histogram.
 */
export function omseRange(distribution: Distribution, codes: CodeRange, symmetric: boolean): Interval {
  const whole = wholeRange(distribution, symmetric);
  const { counts, width } = distribution;
  const filled = [...counts.keys()].filter((bin) => (counts[bin] as number) > 0);
  return leastOf(whole, (range) => {
    const { scale, zero } = scaleOf(range, codes, symmetric);
    let error = 0;
    for (const bin of filled) {
      const from = ((bin - BINS) * width) / scale + zero;
      const cell = integral(from + width / scale, codes) - integral(from, codes);
      error += (counts[bin] as number) * cell;
    }
    return error * scale ** 3; // over the width, which is the same for all
  });
}

/** The same for values themselves: weights. */
export function omseRangeOf(values: Float32Array, codes: CodeRange): Interval {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return leastOf({ low: -largest, high: largest }, (range) => {
    const { scale } = scaleOf(range, codes, true);
    const inverse = 1 / scale;
    let error = 0;
    for (const value of values) {
      const steps = value * inverse;
      const distance = steps - Math.max(codes.low, Math.min(Math.round(steps), codes.high));
      error += distance * distance;
    }
    return error * scale * scale;
  });
}

function wholeRange({ low, high }: Distribution, symmetric: boolean): Interval {
  const largest = Math.max(-low, high);
  return symmetric ? { low: -largest, high: largest } : { low, high };
}

function leastOf(whole: Interval, errorOf: (range: Interval) => number): Interval {
  let best = { range: whole, error: Infinity };
  for (let i = GRID; i >= 1; i--) {
    const range = { low: (whole.low * i) / GRID, high: (whole.high * i) / GRID };
    const error = errorOf(range);
    if (error < best.error) best = { range, error };
  }
  return best.range;
}

/** Antiderivative at t of (t - code of t)^2, t in units of a code. */
function integral(t: number, { low, high }: CodeRange): number {
  const code = Math.max(low, Math.min(Math.round(t), high));
  return code / 12 + (t - code) ** 3 / 3;
}
