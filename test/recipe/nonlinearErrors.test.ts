import { describe, expect, test } from 'vitest';
import { nonlinearErrors, type NonlinearProblem, type Power } from '../../src/calibrate/nonlinearErrors.ts';
import type { NonlinearMethod } from '../../src/calibrate/recipe.ts';
import type {
  AttentionBiasOperation,
  GeluOperation,
  LayerNormOperation,
  SoftmaxOperation,
} from '../../src/model/graph.ts';
import { logLevels } from '../../src/quantize/levels.ts';
import { steps, type TwinGeluQuantizer, type TwinSoftmaxQuantizer } from '../../src/quantize/quantizer.ts';
import { decodeCode } from '../../src/reference/codes.ts';
import { geluF32Reference } from '../../src/reference/geluF32.ts';
import { quantizeTwinGeluReference } from '../../src/reference/quantizeTwinGelu.ts';
import { quantizeTwinSoftmaxReference } from '../../src/reference/quantizeTwinSoftmax.ts';
import { uniformCode } from '../../src/reference/quantizeUniform.ts';
import { noise } from '../support/floats.ts';

const ROWS = 12;
const COLUMNS = 61;
const probabilities: TwinSoftmaxQuantizer = { type: 'twin-softmax', bits: 8, shift: 4, boundary: 'nearest' };
const activations: TwinGeluQuantizer = { type: 'twin-gelu', bits: 8, scaleR2: 6 / 127, shift: 5 };
const softmax: SoftmaxOperation = {
  ...{ kind: 'softmax', name: 's', input: 'x', output: 'y', rows: ROWS, columns: COLUMNS, scale: 0.25 },
};
const gelu: GeluOperation = { kind: 'gelu', name: 'g', input: 'x', output: 'y', count: ROWS * COLUMNS };
const norm: LayerNormOperation = {
  ...{ kind: 'layerNorm', name: 'n', input: 'x', output: 'y', rows: ROWS, features: COLUMNS, epsilon: 1e-5 },
};

const gamma = noise(COLUMNS, 8, 2);
const beta = noise(COLUMNS, 9);
const parameters = new Map([
  ['n.weight', { shape: [COLUMNS], values: gamma }],
  ['n.bias', { shape: [COLUMNS], values: beta }],
]);

/** A problem with noise of `size` as input and a range that just holds it. */
function problem(
  operation: NonlinearProblem['operation'],
  quantizer: NonlinearProblem['quantizer'],
  size: number,
): NonlinearProblem {
  const scale = operation.kind === 'softmax' ? operation.scale : 1;
  return {
    operation,
    input: { columns: COLUMNS, values: noise(ROWS * COLUMNS, 7, size) },
    range: size * scale,
    quantizer,
  };
}

const share = (power: Power | undefined) => (power ? power.noise / power.signal : Infinity);
const errorsOf = (wanted: NonlinearProblem) => nonlinearErrors(wanted, parameters);

test('levels, uniform codes and zero points: what is left is the spacing of their values', () => {
  const logs = { octaves: 0.1, negatives: 0 };
  const fine = logLevels({ operand: 'softmax', family: 'adaptive-log', bits: 8 }, logs, 1, 16383);
  const few = logLevels({ operand: 'softmax', family: 'log2', bits: 2 }, { octaves: 1, negatives: 0 }, 1, 16383);
  const even = { type: 'uniform', bits: 8, granularity: 'tensor', scales: [1 / 127] } as const;
  const [byLevels, byFew, byUniform] = [fine, few, even].map((quantizer) => {
    return share(errorsOf(problem(softmax, quantizer, 20)).lut);
  }) as [number, number, number];
  expect(byLevels).toBeLessThan(0.002); // levels 7 % apart: a relative error of up to 3.5 %
  expect(byFew).toBeGreaterThan(10 * byLevels);
  expect(byUniform).toBeLessThan(0.01);

  const levels = logLevels({ operand: 'gelu', family: 'log2', bits: 8 }, { octaves: 0.1, negatives: 64 }, 20, 16256);
  const coarse = { type: 'uniform', bits: 8, granularity: 'tensor', scales: [20 / 127] } as const;
  const moved = { ...coarse, scales: [20 / 225], zeroPoint: -98 };
  const gelus = [levels, coarse, moved].map((q) => share(errorsOf(problem(gelu, q, 20)).lut)) as [
    number,
    number,
    number,
  ];
  expect(gelus[0]).toBeLessThan(0.002);
  expect(gelus[2]).toBeLessThan(gelus[1] / 2); // nearly twice as many steps for positive values

  const norms = { type: 'uniform', bits: 8, granularity: 'tensor', scales: [0.1] } as const;
  const [plain, zero] = [norms, { ...norms, zeroPoint: 20 }].map((q) => share(errorsOf(problem(norm, q, 3)).poly));
  expect((zero as number) / (plain as number)).toBeCloseTo(1, 1);
});

test('uniform codes of softmax take the scale of the head that a row belongs to', () => {
  const scales = [1 / 127, 1 / 4];
  const heads = { type: 'uniform', bits: 8, granularity: 'head', scales } as const;
  const wanted = problem(softmax, heads, 20);
  const of = (numbers: readonly number[]) => share(errorsOf({ ...wanted, input: { ...wanted.input, numbers } }).lut);
  const fine = of(Array.from({ length: ROWS }, (_, i) => (i % 6) + 12 * i)); // rows 0..5 of 12 are of the first head
  const coarse = of(Array.from({ length: ROWS }, (_, i) => (i % 6) + 6 + 12 * i));
  expect(fine).toBeLessThan(0.01);
  expect(coarse).toBeGreaterThan(10 * fine);
});

test('the heads of each window follow those of the one before', () => {
  const scales = [1 / 127, 1 / 4];
  const heads = { type: 'uniform', bits: 8, granularity: 'head', scales } as const;
  const wanted = { ...problem(softmax, heads, 20), windows: 2 };
  const of = (numbers: readonly number[]) => share(errorsOf({ ...wanted, input: { ...wanted.input, numbers } }).lut);
  const fine = of(Array.from({ length: ROWS }, (_, i) => (i % 3) + 6 * i)); // rows 0..2 of 6 are of the first head
  const coarse = of(Array.from({ length: ROWS }, (_, i) => (i % 3) + 3 + 6 * i));
  expect(fine).toBeLessThan(0.01);
  expect(coarse).toBeGreaterThan(10 * fine);
});

test('masked logits have no share in softmax, however small the range of the others', () => {
  const [windows, tokens] = [2, 6];
  const operation = { ...softmax, rows: windows * tokens, columns: tokens, scale: 1 };
  const mask = [...[0, 0, 0, 0, 0, 0], ...[1, 2, 1, 2, 1, 2]]; // of the second window half the keys
  const masked: AttentionBiasOperation = {
    ...{ kind: 'attentionBias', name: 'b', input: 'z', output: 'x', scale: 1, table: 't', heads: 1 },
    ...{ tokens, windows, mask, index: [] },
  };
  const logits = noise(windows * tokens * tokens, 5, 1).map((z, i) => {
    const [window, row, column] = [Math.floor(i / tokens ** 2), Math.floor(i / tokens) % tokens, i % tokens];
    return mask[window * tokens + row] === mask[window * tokens + column] ? z : z - 100;
  });
  const wanted = {
    operation,
    windows,
    masked,
    input: { columns: tokens, values: logits },
    range: 1,
    quantizer: probabilities,
  };
  expect(share(errorsOf(wanted).lut)).toBeLessThan(1e-3);
  expect(share(errorsOf({ ...wanted, masked: undefined }).lut)).toBeGreaterThan(1e-2);
});

test('norms of queries have the scale of the head that a row belongs to, one row after another', () => {
  const heads = { type: 'uniform', bits: 8, granularity: 'head', scales: [0.05, 1] } as const;
  const wanted = problem(norm, heads, 3);
  const of = (numbers: readonly number[]) => share(errorsOf({ ...wanted, input: { ...wanted.input, numbers } }).poly);
  const [even, odd] = [0, 1].map((head) => of(Array.from({ length: ROWS }, (_, i) => 2 * i + head)));
  expect(even).toBeLessThan(1e-3);
  expect(odd).toBeGreaterThan(100 * (even as number));
});

/** Noise over signal of `made` against `exact`. */
function ratio(exact: ArrayLike<number>, made: ArrayLike<number>): number {
  let [noisePower, signal] = [0, 0];
  for (let i = 0; i < exact.length; i++) {
    noisePower += ((made[i] as number) - (exact[i] as number)) ** 2;
    signal += (exact[i] as number) ** 2;
  }
  return noisePower / signal;
}

function rowsOf(values: Float32Array): Float32Array[] {
  return Array.from({ length: ROWS }, (_, row) => values.slice(row * COLUMNS, (row + 1) * COLUMNS));
}

/** Softmax, GELU and LayerNorm of a problem's input, and what the float quantizer makes of them: the least error that codes allow. */
const FLOOR = {
  softmax({ input }: NonlinearProblem): number {
    const exact = rowsOf(input.values).flatMap((row) => {
      const parts = Array.from(row, (x) => Math.exp(softmax.scale * x));
      return parts.map((part) => part / parts.reduce((a, b) => a + b));
    });
    const codes = quantizeTwinSoftmaxReference(Float32Array.from(exact), probabilities);
    const step = steps(probabilities)[0] as number;
    return ratio(
      exact,
      Array.from(codes, (code) => step * decodeCode(code, { ...probabilities, kind: 'twin-softmax' })),
    );
  },
  gelu({ input }: NonlinearProblem): number {
    const exact = geluF32Reference(input.values);
    const step = steps(activations)[0] as number;
    const inverses = { inverseR1: 1 / step, inverseR2: 1 / activations.scaleR2 };
    const codes = quantizeTwinGeluReference(exact, { bits: 8, ...inverses });
    return ratio(
      exact,
      Array.from(codes, (code) => step * decodeCode(code, { ...activations, kind: 'twin-gelu' })),
    );
  },
  layerNorm({ input }: NonlinearProblem, scale: number): number {
    const exact = rowsOf(input.values).flatMap((row) => {
      const mean = row.reduce((a, b) => a + b) / COLUMNS;
      const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / COLUMNS;
      return Array.from(row, (x, i) => ((x - mean) / Math.sqrt(variance + 1e-5)) * gamma[i]! + beta[i]!);
    });
    return ratio(
      exact,
      exact.map((x) => scale * uniformCode(x, 1 / scale, 8)),
    );
  },
};

describe('an error is that of the codes and of the method together', () => {
  test.each([4, 24])('softmax of logits up to %d', (size) => {
    const given = problem(softmax, probabilities, size);
    const floor = FLOOR.softmax(given);
    const { shift, 'shift-fixed': fixed, poly, lut } = errorsOf(given);
    expect(share(lut)).toBeGreaterThan(0.98 * floor);
    expect(share(lut)).toBeLessThan(1.2 * floor + 2e-6); // 12-bit logits
    expect(share(poly)).toBeLessThan(1.3 * floor + 2e-5);
    expect(share(fixed)).toBeGreaterThan(1.1 * share(lut)); // the straight line is up to 6 % off
    expect(share(shift)).toBeGreaterThan(share(fixed));
    expect(share(shift)).toBeLessThan(0.02);
  });

  test.each([3, 6, 14])('GELU of values up to %d', (size) => {
    const given = problem(gelu, activations, size);
    const floor = FLOOR.gelu(given);
    const { shift, 'shift-fixed': fixed, poly, lut } = errorsOf(given);
    expect(share(lut) / floor).toBeCloseTo(1, 2);
    expect(share(poly)).toBeLessThan(1.3 * floor + 1e-4);
    expect(share(fixed)).toBeLessThan(1.3 * floor + 2e-4);
    expect(share(shift)).toBeGreaterThan(share(fixed));
  });

  test.each([0.04, 6 / 128, 0.01])('LayerNorm into codes of step %d', (scale) => {
    const given = problem(norm, { type: 'uniform', bits: 8, granularity: 'tensor', scales: [scale] }, 3);
    const floor = FLOOR.layerNorm(given, scale);
    const errors = errorsOf(given);
    expect(share(errors['shift-fixed']) / floor).toBeCloseTo(1, 2);
    expect([errors.poly, errors.lut]).toEqual([errors['shift-fixed'], errors['shift-fixed']]);
    expect(share(errors.shift)).toBeGreaterThan(share(errors['shift-fixed']));
  });
});

test('the signal is that of the float function, whatever the codes', () => {
  const wide = errorsOf(problem(gelu, activations, 6));
  const narrow = errorsOf(problem(gelu, { ...activations, bits: 4, scaleR2: 6 / 7 }, 6));
  const exact = geluF32Reference(noise(ROWS * COLUMNS, 7, 6)).reduce((sum, y) => sum + y * y, 0);
  for (const { lut } of [wide, narrow]) expect((lut as Power).signal / exact).toBeCloseTo(1, 6);
  expect(share(narrow.lut)).toBeGreaterThan(50 * share(wide.lut));
});

test('the width of the codes and their largest value count', () => {
  const uniform = (bits: number, scale: number) =>
    errorsOf(problem(norm, { type: 'uniform', bits, granularity: 'tensor', scales: [scale] }, 3))['shift-fixed'];
  expect(share(uniform(6, 0.04))).toBeGreaterThan(5 * share(uniform(8, 0.04))); // cut at 32 codes instead of 128
});

test('inputs beyond the range saturate', () => {
  const given = problem(gelu, { ...activations, scaleR2: 12 / 127 }, 12);
  const cut = nonlinearErrors({ ...given, range: 3 }, parameters); // 16 bits hold twice the range: of 12 only 6 is left
  expect(share(cut.lut)).toBeGreaterThan(0.1);
  expect(share(nonlinearErrors({ ...given, range: 6 }, parameters).lut)).toBeLessThan(1e-3);
});

test('inputs are rounded, not cut', () => {
  const step = 6 / 127; // of the 8-bit codes of `shift`
  const values = new Float32Array(ROWS * COLUMNS).fill(0.9 * step);
  const given = problem(gelu, { ...activations, scaleR2: 0.1 / 127 }, 6);
  const { shift } = errorsOf({ ...given, input: { columns: COLUMNS, values } });
  expect(share(shift)).toBeLessThan(0.05); // code 1; with code 0 the error is the signal
});

test('int16 inputs saturate at both ends', () => {
  const given = problem(norm, { type: 'uniform', bits: 8, granularity: 'tensor', scales: [0.04] }, 4);
  const cut = nonlinearErrors({ ...given, range: 1 }, parameters)['shift-fixed']; // of 4 only 2 is left
  expect(share(cut)).toBeGreaterThan(0.01);
  expect(share(cut)).toBeLessThan(0.2);
});

test('a method whose integers cannot hold the range has no error', () => {
  const none = (errors: Record<NonlinearMethod, unknown>) =>
    Object.entries(errors).flatMap(([method, error]) => (error === undefined ? [method] : []));
  const small = errorsOf(problem(gelu, { ...activations, scaleR2: 0.06 / 127, shift: 0 }, 0.1));
  expect(none(small)).toEqual(['shift']); // a step below 0.0023: I0 2^23 passes int32
  expect(share(small.lut)).toBeLessThan(1e-3);
  expect(none(errorsOf(problem(softmax, probabilities, 1e-4)))).toContain('shift');
  expect(none(errorsOf(problem(gelu, activations, 6)))).toEqual([]);
});
