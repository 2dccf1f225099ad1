import type { CodeRange } from '../../quantize/codeRange.ts';
import type { Calibrator } from '../options.ts';
import { aciqRange } from './aciq.ts';
import { histogramMoments, type Distribution, type Interval, type Moments } from './distribution.ts';
import { entropyRange } from './entropy.ts';
import { movingAverage } from './movingAverage.ts';
import { omseRange, omseRangeOf } from './omse.ts';
import { exactPercentile, percentileRange } from './percentile.ts';

export type RangeCalibrator = Exclude<Calibrator, 'search'>;

export interface RangeSettings {
  /** Width of a code. */
  readonly bits: number;
  /** Share of magnitudes, in percent, that `percentile` does not clip. */
  readonly percentile: number;
}

/** Whether a calibrator looks at more than the ends. */
export function needsCounts(calibrator: RangeCalibrator): boolean {
  return calibrator !== 'min-max' && calibrator !== 'moving-average';
}

/** The range that `calibrator` gives activations. Symmetric: only the larger magnitude of the two ends counts. */
export function rangeOf(
  calibrator: RangeCalibrator,
  distribution: Distribution,
  { bits, percentile }: RangeSettings,
  codes: CodeRange,
  symmetric: boolean,
): Interval {
  switch (calibrator) {
    case 'min-max':
      return distribution;
    case 'moving-average':
      return movingAverage(distribution.images);
    case 'percentile':
      return percentileRange(distribution, percentile, symmetric);
    case 'omse':
      return omseRange(distribution, codes, symmetric);
    case 'aciq':
      return aciqRange(histogramMoments(distribution), bits, distribution);
    case 'entropy': {
      const { low, high } = entropyRange(distribution, bits);
      return { low: Math.max(low, distribution.low), high: Math.min(high, distribution.high) };
    }
  }
}

/**
 * The range of a run of weights. They do not move, and a channel is too few for a histogram: `moving-average` and `entropy` take the
 * ends, as TensorRT does; the others look at the values themselves.
 */
export function weightRange(
  calibrator: RangeCalibrator,
  values: Float32Array,
  { bits, percentile }: RangeSettings,
  codes: CodeRange,
): Interval {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const whole = { low: -largest, high: largest };
  switch (calibrator) {
    case 'percentile': {
      const clip = exactPercentile(values.map(Math.abs), percentile);
      return { low: -clip, high: clip };
    }
    case 'omse':
      return omseRangeOf(values, codes);
    case 'aciq':
      return aciqRange(momentsOf(values), bits, whole);
    default:
      return whole;
  }
}

/** Moments of values, exact. */
function momentsOf(values: Float32Array): Moments {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let [squares, absolute] = [0, 0];
  for (const value of values) {
    squares += (value - mean) ** 2;
    absolute += Math.abs(value - mean);
  }
  return { mean, variance: squares / values.length, deviation: absolute / values.length };
}
