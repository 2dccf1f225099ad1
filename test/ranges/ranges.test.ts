import { describe, expect, test } from 'vitest';
import golden from '../golden/ranges/ranges.json' with { type: 'json' };
import { aciqRange, gaussClip, laplaceClip } from '../../src/calibrate/ranges/aciq.ts';
import { BINS, histogramMoments, type Distribution } from '../../src/calibrate/ranges/distribution.ts';
import { entropyRange } from '../../src/calibrate/ranges/entropy.ts';
import { movingAverage } from '../../src/calibrate/ranges/movingAverage.ts';
import { omseRange, omseRangeOf } from '../../src/calibrate/ranges/omse.ts';
import { exactPercentile, percentileRange } from '../../src/calibrate/ranges/percentile.ts';
import { fineShift } from '../../src/calibrate/ranges/quantizers.ts';
import { rangeOf, weightRange } from '../../src/calibrate/ranges/rangeOf.ts';
import { codeRange, scaleOf } from '../../src/quantize/codeRange.ts';
import { histogramReference } from '../../src/reference/histogram.ts';

const widths = [8, 6, 4] as const;
const cases = golden.cases.map((made) => ({ ...made, ...distributionOf(made.images) }));
const byWidth = cases.flatMap((made) => widths.map((bits) => [made.name, bits, made, made.widths[bits]] as const));

function distributionOf(rows: readonly (readonly number[])[]): { values: Float32Array; distribution: Distribution } {
  const images = rows.map((row) => ({ low: Math.min(...row), high: Math.max(...row) }));
  const [low, high] = [Math.min(...images.map((image) => image.low)), Math.max(...images.map((image) => image.high))];
  const values = Float32Array.from(rows.flat());
  const width = Math.max(-low, high) / BINS;
  const view = { offset: 0, imageStride: 0, headStride: 0, rowStride: values.length };
  const shape = { images: 1, heads: 1, rows: 1, columns: values.length, bins: BINS, view };
  const counts = Float64Array.from(histogramReference(values, Float32Array.of(1 / width), shape));
  return { values, distribution: { low, high, images, counts, width } };
}

function meanSquaredError(values: Float32Array, scale: number, bits: number, zero = 0): number {
  const { low, high } = codeRange(bits);
  const errors = values.map((x) => {
    const code = Math.max(low, Math.min(Math.round(x / scale) + zero, high));
    return (x - (code - zero) * scale) ** 2;
  });
  return errors.reduce((sum, e) => sum + e, 0) / values.length;
}

describe.each(byWidth)('%s at %i bits', (_name, bits, { distribution, values }, expected) => {
  const codes = codeRange(bits);

  test('min-max and its moving average are those of PyTorch, with and without a zero point', () => {
    for (const [range, symmetric, affine] of [
      [distribution, expected.minMax, expected.minMaxAffine],
      [movingAverage(distribution.images), expected.movingAverage, expected.movingAverageAffine],
    ] as const) {
      expect(scaleOf(range, codes, true).scale / symmetric.scale).toBeCloseTo(1, 6);
      const { scale, zero } = scaleOf(range, codes, false);
      if (affine.zero === codes.low) {
        // no negative values: 1 - q stands for 0, and the range has one step less
        expect(zero).toBe(1 - 2 ** (bits - 1));
        expect(scale / (affine.scale * ((2 ** bits - 1) / (2 ** bits - 2)))).toBeCloseTo(1, 6);
      } else {
        expect([zero, scale / affine.scale]).toEqual([affine.zero, expect.closeTo(1, 6)]);
      }
    }
  });

  test('OMSE finds the least error of the values themselves, and no more than the bins blur from a histogram', () => {
    expect(omseRangeOf(values, codes).high).toBeCloseTo(expected.omse.clip, 6);
    const { scale } = scaleOf(omseRange(distribution, codes, true), codes, true);
    const error = meanSquaredError(values, scale, bits);
    expect(error / expected.omse.error).toBeLessThan(1.05);
    expect(error).toBeLessThan(1.05 * expected.histogramObserverError);
  });

  test('two free ends cost less than one where the values are lopsided, and never much more', () => {
    const { scale, zero } = scaleOf(omseRange(distribution, codes, false), codes, false);
    const gain = meanSquaredError(values, scale, bits, zero) / expected.omse.error;
    expect(gain).toBeLessThan(_name === 'positive' ? 0.4 : 1.1);
  });

  test('entropy keeps the bins that numpy keeps', () => {
    const { low, high } = entropyRange(distribution, bits);
    expect([Math.round(high / distribution.width), low]).toEqual([expected.entropy.bins, -high]);
  });

  test('every calibrator stays within the ends, on both sides', () => {
    for (const calibrator of ['min-max', 'moving-average', 'percentile', 'omse', 'aciq', 'entropy'] as const) {
      const range = rangeOf(calibrator, distribution, { bits, percentile: 99 }, codes, false);
      expect(range.low).toBeGreaterThanOrEqual(distribution.low);
      expect(range.high).toBeLessThanOrEqual(distribution.high);
      expect(range.high).toBeGreaterThan(range.low);
    }
  });
});

test('zeros do not speak for any range in entropy, and of equal divergences the longest range wins', () => {
  const { distribution } = cases[0] as (typeof cases)[number];
  const more = distribution.counts.map((count, bin) => (bin === BINS ? count + 1e6 : count));
  expect(entropyRange({ ...distribution, counts: more }, 6)).toEqual(entropyRange(distribution, 6));
  // one filled bin besides the first is itself under any number of levels
  const counts = Float64Array.from({ length: 2 * BINS }, (_, bin) => (bin === BINS + 1 ? 10 : 0));
  expect(entropyRange({ ...distribution, width: 1, counts }, 8).high).toBe(BINS);
});

test.each(cases)('$name: percentiles to the width of a bin, exact on the values', (made) => {
  const { percentiles, distribution, values } = made;
  for (const [percentile, expected] of Object.entries(percentiles)) {
    const { high } = percentileRange(distribution, Number(percentile), true);
    expect(high).toBeGreaterThanOrEqual(expected);
    expect(high - expected).toBeLessThanOrEqual(distribution.width * 1.001);
    expect(exactPercentile(values.map(Math.abs), Number(percentile))).toBe(expected);
  }
  const half = percentileRange(distribution, 98, false);
  const outside = values.filter((x) => x < half.low || x > half.high).length / values.length;
  expect(outside).toBeGreaterThan(0.005);
  expect(outside).toBeLessThanOrEqual(0.02);
});

test.each(cases)(
  '$name: moments of the histogram are those of numpy to the width of a bin',
  ({ moments, distribution }) => {
    const found = histogramMoments(distribution);
    expect(Math.abs(found.mean - moments.mean)).toBeLessThan(distribution.width);
    expect(Math.abs(found.deviation - moments.deviation)).toBeLessThan(distribution.width);
    expect(found.variance / moments.variance).toBeCloseTo(1, 1);
  },
);

test.each(Object.entries(golden.clips))('ACIQ clips at %s bits where the expected error is least', (bits, clips) => {
  expect(gaussClip(Number(bits)) / clips.gauss).toBeCloseTo(1, 3);
  expect(laplaceClip(Number(bits)) / clips.laplace).toBeCloseTo(1, 3);
});

test('ACIQ takes the likelier of its two distributions, around the mean', () => {
  const whole = { low: -100, high: 100 };
  const gauss = aciqRange({ mean: 1, variance: 4, deviation: 2 * Math.sqrt(2 / Math.PI) }, 4, whole);
  expect(gauss.high).toBeCloseTo(1 + 2 * gaussClip(4), 10);
  const laplace = aciqRange({ mean: 1, variance: 8, deviation: 2 }, 4, whole);
  expect([laplace.low, laplace.high]).toEqual([
    expect.closeTo(1 - 2 * laplaceClip(4), 10),
    expect.closeTo(1 + 2 * laplaceClip(4), 10),
  ]);
});

test('ranges of weights: ends, percentile, least error, clipping of a distribution', () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i * i) + (i === 3 ? 20 : 0));
  const settings = { bits: 4, percentile: 99 };
  const clip = (calibrator: Parameters<typeof weightRange>[0]) =>
    weightRange(calibrator, values, settings, codeRange(4)).high;
  expect(clip('entropy')).toBe(clip('min-max'));
  expect(clip('min-max')).toBeCloseTo(20.412, 3);
  expect(clip('percentile')).toBeLessThanOrEqual(1);
  for (const calibrator of ['omse', 'aciq'] as const) {
    expect(clip(calibrator)).toBeLessThan(10);
    const error = (range: number) =>
      meanSquaredError(values, scaleOf({ low: -range, high: range }, codeRange(4), true).scale, 4);
    expect(error(clip(calibrator))).toBeLessThan(error(clip('min-max')));
  }
});

test('a group of zeros has a scale, and every calibrator a range for it', () => {
  const { distribution } = distributionOf([[0, 0, 0]]);
  for (const calibrator of ['min-max', 'moving-average', 'percentile', 'omse', 'aciq', 'entropy'] as const) {
    const zeros = { ...distribution, counts: Float64Array.from({ length: 2 * BINS }, (_, i) => (i === BINS ? 3 : 0)) };
    const range = rangeOf(calibrator, zeros, { bits: 8, percentile: 99 }, codeRange(8), true);
    expect(scaleOf(range, codeRange(8), true)).toEqual({ scale: 2 ** -126, zero: 0 });
    expect(scaleOf(range, codeRange(8), false)).toEqual({ scale: 2 ** -126, zero: 0 });
  }
});

test('the fine range of probabilities holds eight means of a row', () => {
  expect([17, 197, 577, 8, 4].map((tokens) => fineShift(tokens, 12))).toEqual([1, 4, 6, 0, 0]);
  expect(fineShift(577, 5)).toBe(5);
});
