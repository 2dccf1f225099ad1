import { expect, test } from 'vitest';
import golden from '../golden/quantize/quantize.json' with { type: 'json' };
import { GELU_DEPTH } from '../../src/kernels/quantizeTwinGelu.ts';
import { largestTwinShift } from '../../src/kernels/codes.ts';
import { decodeCode } from '../../src/reference/codes.ts';
import { quantizeTwinGeluReference } from '../../src/reference/quantizeTwinGelu.ts';
import { quantizeTwinSoftmaxReference } from '../../src/reference/quantizeTwinSoftmax.ts';
import { uniformCode } from '../../src/reference/quantizeUniform.ts';
import { cosineSimilarity } from '../../src/reference/scoreCosine.ts';

const f32 = (values: readonly number[]) => Float32Array.from(values);

test.each(golden.uniform)('uniform codes of $bits bits are those of torch.round and torch.clamp', (made) => {
  const { bits, inverse, values, codes } = made;
  expect([...f32(values)].map((x) => uniformCode(x, inverse, bits))).toEqual(codes);
});

test.each(golden.softmax)('softmax codes of $bits bits, shift $shift, published boundary', (made) => {
  const { bits, shift, values, published } = made;
  expect([...quantizeTwinSoftmaxReference(f32(values), { bits, shift, boundary: 'published' })]).toEqual(published);
});

test.each(golden.softmax)('softmax codes of $bits bits, shift $shift: no code of either range is nearer', (made) => {
  const { bits, shift, values, distance } = made;
  const codes = quantizeTwinSoftmaxReference(f32(values), { bits, shift, boundary: 'nearest' });
  const scaleR1 = 2 ** -(bits - 1 + shift);
  codes.forEach((code, i) => {
    const value = scaleR1 * decodeCode(code, { kind: 'twin-softmax', bits, shift });
    expect(Math.abs((f32(values)[i] as number) - value), `value ${values[i]}`).toBeCloseTo(distance[i] as number, 14);
  });
});

test.each(golden.gelu)('GELU codes of $bits bits are those of torch', (made) => {
  const { bits, inverseR1, inverseR2, values, codes } = made;
  expect([...quantizeTwinGeluReference(f32(values), { bits, inverseR1, inverseR2 })]).toEqual(codes);
});

test('cosine similarity is that of torch, rows of zeros and of 1e-10 included', () => {
  const { x, y, cosine } = golden.cosine;
  cosine.forEach((expected, row) => {
    expect(cosineSimilarity(x[row] as number[], y[row] as number[])).toBeCloseTo(expected, 12);
  });
});

test('R1 after GELU reaches down to the minimum of torch.nn.functional.gelu, by less than 1e-7 more', () => {
  expect(-golden.geluMinimum).toBeLessThanOrEqual(GELU_DEPTH);
  expect(GELU_DEPTH + golden.geluMinimum).toBeLessThan(1e-7);
});

test.each([
  [8, 197, 8, 9],
  [8, 768, 8, 7],
  [8, 1536, 8, 6],
  [8, 3072, 8, 5],
  [4, 768, 8, 11],
  [8, 2 ** 24, 8, -1],
])('codes of %i bits, depth %i, weights of %i bits: shifts up to %i fit an i32', (bits, depth, bBits, shift) => {
  expect(largestTwinShift(bits, depth, bBits)).toBe(shift);
});
