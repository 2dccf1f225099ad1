import { expect, test } from 'vitest';
import { operandReport } from '../../src/calibrate/operandReport.ts';
import type { LeftQuantizer, RightQuantizer } from '../../src/quantize/floatQuantizer.ts';
import { quantizeTwinSoftmaxReference } from '../../src/reference/quantizeTwinSoftmax.ts';
import { quantizationPoints, uniformPoints } from '../../src/report/quantizationPoints.ts';

const row = (
  values: readonly number[],
  quantizer: LeftQuantizer | RightQuantizer,
  columns = values.length,
  isWeight = false,
) => {
  const rows = values.length / columns;
  const matrix = { tensor: 'x', offset: 0, imageStride: 0, headStride: 0, rowStride: columns, columnStride: 1 };
  return operandReport(Float32Array.from(values), { images: 1, heads: 1, rows, columns, isWeight }, matrix, quantizer);
};
const shares = (...given: Parameters<typeof row>) => {
  const { clipped, saturated } = row(...given);
  const count = given[0].length;
  return [Math.round(clipped * count), Math.round(saturated * count)];
};
const uniform = { type: 'uniform', bits: 3, granularity: 'tensor', scales: [1] } as const; // -4..3

test('values beyond the codes are clipped, values at their ends saturated', () => {
  expect(shares([-5, -4.6, -4.4, -3.4, 0, 2.4, 2.6, 3.4, 3.6], uniform)).toEqual([3, 6]);
  expect(shares([-5, -4.4, -3.4, -2.4, 3], { ...uniform, restricted: true })).toEqual([2, 4]);
  expect(shares([-2.6, -2, 0, 5, 5.6], { ...uniform, zeroPoint: -2 })).toEqual([2, 4]); // -2..5
  expect(shares([0, 0, 0.74, 0.9], { type: 'twin-softmax', bits: 3, shift: 2, boundary: 'nearest' })).toEqual([1, 2]);
  expect(shares([-0.17, -0.1, 0, 2.6, 3.6], { type: 'twin-gelu', bits: 3, scaleR2: 1, shift: 4 })).toEqual([1, 3]);
  const levels = {
    type: 'levels',
    operand: 'gelu',
    family: 'log2',
    bits: 2,
    step: 0.5,
    levels: [-1, 0, 2, 8],
  } as const;
  expect(shares([-0.8, -0.4, 0, 3, 6], levels)).toEqual([2, 4]);
});

test('scales of columns, blocks and tokens hold where they belong', () => {
  const channels = { ...uniform, granularity: 'channel', scales: [1, 10] } as const;
  expect(shares([5, 5, 5, 5], channels, 2)).toEqual([2, 2]);
  const block = { type: 'block', bits: 3, rowBlocks: 1, columnBlocks: 2, scales: [1, 10] } as const;
  expect(shares([5, 5, 5, 5], block)).toEqual([2, 2]);
  const channels2 = { ...block, rowBlocks: 2, columnBlocks: 1 };
  expect(shares([5, 1, 5, 1], channels2, 2, true)).toEqual([2, 2]); // channels are columns
  expect(shares([5, 1, 1, 5], { ...block, scales: [1, 10] }, 2, true)).toEqual([1, 1]); // blocks of inputs are rows
  expect(shares([1, 100, 0.1, 0.01], { type: 'per-token', bits: 3 }, 2)).toEqual([0, 2]);
  expect(shares([1, 0.2, 0, 0], { type: 'published-softmax', bits: 3, split: 0.1 })).toEqual([0, 1]);
  expect(shares([4, 4, -0.5], { type: 'published-gelu', bits: 3, scales: [1, 10, 10], negativeScale: 0.1 })).toEqual([
    2, 2,
  ]);
});

test('a histogram has equal bins between the ends, and one where all values are equal', () => {
  const { histogram } = row([0, 0.001, 0.5, 0.999, 1, 1], uniform);
  expect([histogram.low, histogram.high, histogram.counts.length]).toEqual([0, 1, 200]);
  expect(histogram.counts.flatMap((count, bin) => (count > 0 ? [[bin, count]] : []))).toEqual([
    [0, 2],
    [100, 1],
    [199, 3],
  ]);
  expect(row([2, 2], uniform).histogram).toEqual({ low: 2, high: 2, counts: [2] });
});

test('quantization points are the values that codes stand for', () => {
  expect(quantizationPoints({ ...uniform, scales: [0.5] }).fine).toEqual([-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5]);
  expect(quantizationPoints({ ...uniform, zeroPoint: -2, restricted: true }).fine).toEqual([-1, 0, 1, 2, 3, 4, 5]);
  const twin = { type: 'twin-softmax', bits: 4, shift: 3, boundary: 'nearest' } as const;
  const { fine, coarse } = quantizationPoints(twin);
  expect(fine).toEqual(Array.from({ length: 8 }, (_, i) => i / 64));
  expect(coarse).toEqual(Array.from({ length: 8 }, (_, i) => i / 8));
  const values = Float32Array.from({ length: 500 }, (_, i) => i / 499);
  const decoded = [...quantizeTwinSoftmaxReference(values, twin)].map((code) =>
    code < 8 ? code / 64 : (code - 8) / 8,
  );
  expect([...new Set(decoded)].filter((value) => ![...fine, ...coarse].includes(value))).toEqual([]);
  expect(quantizationPoints({ type: 'twin-gelu', bits: 3, scaleR2: 1, shift: 2 })).toEqual({
    fine: [-0.75, -0.5, -0.25, 0],
    coarse: [0, 1, 2, 3],
  });
  expect(uniformPoints(3, -1, 7)).toEqual([-8, -6, -4, -2, 0, 2, 4, 6]);
});
