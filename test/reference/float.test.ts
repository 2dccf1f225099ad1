import { describe, expect, test } from 'vitest';
import golden from '../golden/float/kernels.json' with { type: 'json' };
import { assembleTokensF32Reference } from '../../src/reference/assembleTokensF32.ts';
import { geluBackwardF32Reference } from '../../src/reference/geluBackwardF32.ts';
import { erfReference, geluF32Reference } from '../../src/reference/geluF32.ts';
import { layerNormBackwardF32Reference } from '../../src/reference/layerNormBackwardF32.ts';
import { layerNormF32Reference } from '../../src/reference/layerNormF32.ts';
import { matmulF32Reference } from '../../src/reference/matmulF32.ts';
import { softmaxBackwardF32Reference } from '../../src/reference/softmaxBackwardF32.ts';
import { softmaxF32Reference } from '../../src/reference/softmaxF32.ts';

/** The twins compute in double and round once, so each value is within one f32 rounding of PyTorch's double result. */
function expectRounded(actual: Float32Array, exact: readonly number[]): void {
  expect(actual.length).toBe(exact.length);
  exact.forEach((e, i) => {
    expect(Math.abs((actual[i] as number) - e), `element ${i}`).toBeLessThanOrEqual(1.2e-7 * Math.abs(e) + 1e-13);
  });
}

const f32 = (values: readonly number[]) => Float32Array.from(values);

describe('twins of the float kernels against PyTorch in double', () => {
  test('layer normalisation and its gradient', () => {
    const { x, gain, shift, dy, epsilon, y, dx } = golden.layerNorm;
    expectRounded(layerNormF32Reference(f32(x), f32(gain), f32(shift), epsilon), y);
    expectRounded(layerNormBackwardF32Reference(f32(x), f32(gain), f32(dy), epsilon), dx);
  });

  test('softmax and its gradient', () => {
    const { x, columns, scale, dy, y, dx } = golden.softmax;
    const probs = softmaxF32Reference(f32(x), columns, scale);
    expectRounded(probs, y);
    // The gradient starts from probabilities that are rounded to f32 already.
    const actual = softmaxBackwardF32Reference(probs, f32(dy), columns, scale);
    dx.forEach((e, i) => expect(Math.abs((actual[i] as number) - e), `element ${i}`).toBeLessThan(1e-7));
  });

  test('GELU and its gradient', () => {
    const { x, dy, y, dx } = golden.gelu;
    expectRounded(geluF32Reference(f32(x)), y);
    expectRounded(geluBackwardF32Reference(f32(x), f32(dy)), dx);
  });

  test('the error function is odd and continuous where its two forms meet', () => {
    expect(erfReference(2.5)).toBeCloseTo(erfReference(2.5 + 1e-13), 13);
    expect(erfReference(1)).toBeCloseTo(0.8427007929497149, 15);
    expect(erfReference(-3)).toBeCloseTo(-0.9999779095030014, 15);
  });

  test('matrix product and token assembly', () => {
    const { a, b, bias, c } = golden.matmul;
    const dense = (columns: number) => ({
      offset: 0,
      outerStride: 0,
      innerStride: 0,
      rowStride: columns,
      columnStride: 1,
    });
    const actual = new Float32Array(12);
    const shape = { rows: 3, columns: 4, depth: 5, heads: 1, images: 1, a: dense(5), b: dense(4), c: dense(4) };
    matmulF32Reference(f32(a), f32(b), f32(bias), actual, shape);
    expectRounded(actual, c);
    const { x, prefix, position, y } = golden.tokens;
    expectRounded(assembleTokensF32Reference(f32(x), f32(prefix), f32(position), 2), y);
  });
});
