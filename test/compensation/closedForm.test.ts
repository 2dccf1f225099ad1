import { describe, expect, test } from 'vitest';
import golden from '../golden/compensation/compensation.json' with { type: 'json' };
import { gptq as codesOf, gptqFactor } from '../../src/calibrate/compensation/gptq.ts';
import { refine } from '../../src/calibrate/compensation/refine.ts';
import { ridgeWeights } from '../../src/calibrate/compensation/ridge.ts';
import { choleskyUpper, meanDiagonal } from '../../src/quantize/cholesky.ts';
import { codeRange } from '../../src/quantize/codeRange.ts';
import {
  codeValues,
  nearestCode,
  nearestCodes,
  scaleAt,
  type WeightGrid,
} from '../../src/calibrate/compensation/weightCodes.ts';
import { noise } from '../support/floats.ts';

const SIZES = [1, 3, 4, 5, 64, 65, 257];

/** `left^T right` of two matrices `[tokens, columns]`. */
function gramOf(left: ArrayLike<number>, right: ArrayLike<number>, columns: number): Float64Array {
  const gram = new Float64Array(columns * columns);
  for (let token = 0; token < left.length / columns; token++) {
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j < columns; j++)
        gram[i * columns + j]! += left[token * columns + i]! * right[token * columns + j]!;
    }
  }
  return gram;
}

/** `sum over rows of d G d^T`, d = weight - values, row by row. */
function errors(weight: ArrayLike<number>, values: ArrayLike<number>, gram: Float64Array, columns: number): number[] {
  return Array.from({ length: weight.length / columns }, (_, row) => {
    let total = 0;
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j < columns; j++) {
        const [left, right] = [row * columns + i, row * columns + j];
        total += (weight[left]! - values[left]!) * gram[i * columns + j]! * (weight[right]! - values[right]!);
      }
    }
    return total;
  });
}

/** Codes of GPTQ; what they err in the damped norm is what it says. */
function gptq({ gram, ...grid }: WeightGrid & { readonly gram: Float64Array }): Int8Array {
  const factor = gptqFactor(gram, grid.columns);
  const made = codesOf(factor!, grid);
  const damped = gram.slice();
  const mean = meanDiagonal(gram, grid.columns);
  for (let k = 0; k < grid.columns; k++) {
    damped[k * grid.columns + k]! += 0.01 * Math.max(gram[k * grid.columns + k]!, 0.01 * mean);
  }
  const expected = errors(grid.weight, exactValues(made.codes, grid), damped, grid.columns);
  made.errors.forEach((error, row) => expect(Math.abs(error - expected[row]!)).toBeLessThan(1e-9 * expected[row]!));
  return made.codes;
}

/** What codes stand for, in double. */
function exactValues(codes: Int8Array, { scales, rows, columns }: WeightGrid): Float64Array {
  return Float64Array.from(
    codes,
    (code, i) => code * scaleAt(scales, rows, columns, Math.floor(i / columns), i % columns),
  );
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** Inputs of `columns` features that share most of their variance, a weight of 6 rows, a grid of 4 bits. */
function problem(columns: number, { rows = 6, bits = 4, runs = 1, seed = columns } = {}) {
  const tokens = 2 * columns + 8;
  const own = noise(tokens * columns, seed);
  const shared = noise(tokens * 3, seed + 1);
  const inputs = own.map((x, i) => 0.3 * x + shared[3 * Math.floor(i / columns) + (i % 3)]!);
  const weight = noise(rows * columns, seed + 2);
  const scales = Float32Array.from({ length: rows * runs }, (_, i) => (1 + 0.1 * (i % 5)) / (2 ** (bits - 1) - 0.5));
  const grid: WeightGrid = { weight, scales, rows, columns, range: codeRange(bits) };
  return { grid, inputs, gram: gramOf(inputs, inputs, columns) };
}

describe('the Cholesky factor', () => {
  test.each(SIZES)('of a matrix of %i rows gives it back', (size) => {
    const { gram } = problem(size);
    for (let k = 0; k < size; k++) gram[k * size + k]! += 0.01 * meanDiagonal(gram, size);
    const factor = gram.slice();
    const below = factor.map((_, i) => (i % size < Math.floor(i / size) ? 7 : 0));
    below.forEach((junk, i) => junk && (factor[i] = junk));
    choleskyUpper(factor, size);
    let worst = 0;
    for (let i = 0; i < size; i++) {
      for (let j = i; j < size; j++) {
        let value = 0;
        for (let k = 0; k <= i; k++) value += factor[k * size + i]! * factor[k * size + j]!;
        worst = Math.max(worst, Math.abs(value - gram[i * size + j]!));
      }
    }
    expect(worst).toBeLessThan(1e-12 * meanDiagonal(gram, size) * size);
    below.forEach((junk, i) => junk && expect(factor[i]).toBe(7));
  });

  test('of a matrix larger than any block is exact where all its numbers are integers', () => {
    const size = 600;
    const factor = Float64Array.from({ length: size * size }, (_, i) => Math.min(Math.floor(i / size), i % size) + 1);
    choleskyUpper(factor, size);
    const wrong = factor.findIndex((value, i) => i % size >= Math.floor(i / size) && value !== 1);
    expect(wrong).toBe(-1);
  });

  test('of a matrix that is not positive definite is refused with its pivot', () => {
    expect(() => choleskyUpper(Float64Array.of(1, 2, 2, 4), 2)).toThrow('pivot 1 of 2 is 0');
    expect(() => choleskyUpper(Float64Array.of(NaN), 1)).toThrow('pivot 0 of 1 is NaN');
  });
});

describe('the codes of a weight', () => {
  test('are nearest, ties to even, within the range', () => {
    const range = codeRange(4, true);
    expect(range).toEqual({ low: -7, high: 7 });
    expect(codeRange(4)).toEqual({ low: -8, high: 7 });
    const values = [0.25, 0.75, 1.25, -0.25, -0.75, 100, -100, -4];
    expect(values.map((value) => nearestCode(value, 0.5, range))).toEqual([0, 2, 2, 0, -2, 7, -7, -7]);
    const grid = { weight: Float32Array.from(values), scales: Float32Array.of(0.5), rows: 1, columns: 8, range };
    expect([...nearestCodes(grid)]).toEqual([0, 2, 2, 0, -2, 7, -7, -7]);
    expect([...nearestCodes({ ...grid, range: codeRange(4) })]).toEqual([0, 2, 2, 0, -2, 7, -8, -8]);
  });

  test('take the scale of their run of columns and come back from their values', () => {
    const scales = Float32Array.of(0.5, 0.1, 2, 0.03);
    const grid = { weight: noise(12, 3), scales, rows: 2, columns: 6, range: codeRange(8) };
    const codes = nearestCodes(grid);
    expect([...codes.slice(0, 3)]).toEqual([...grid.weight.slice(0, 3)].map((w) => nearestCode(w, 0.5, grid.range)));
    expect([...codes.slice(9)]).toEqual(
      [...grid.weight.slice(9)].map((w) => nearestCode(w, Math.fround(0.03), grid.range)),
    );
    expect([...nearestCodes({ ...grid, weight: codeValues(codes, grid) })]).toEqual([...codes]);
  });

  test('of every width come back from their values at any scale', () => {
    const all = Int8Array.from({ length: 256 }, (_, i) => i - 128);
    for (const scale of noise(200, 9, 40).map((x) => Math.fround(2 ** x))) {
      const grid = { scales: Float32Array.of(scale), rows: 1, columns: 256, range: codeRange(8) };
      expect([...nearestCodes({ ...grid, weight: codeValues(all, grid) })]).toEqual([...all]);
    }
  });
});

describe('GPTQ', () => {
  test.each(golden.cases)('gives the codes of the paper: $rows x $columns', (made) => {
    const { rows, columns, low, high, weight, scales, gram, codes } = made;
    const grid = { rows, columns, range: { low, high } };
    const given = { weight: Float32Array.from(weight), scales: Float32Array.from(scales) };
    expect([...gptq({ ...grid, ...given, gram: Float64Array.from(gram) })]).toEqual(codes);
  });

  test.each(SIZES.slice(1))('errs less than nearest codes: %i columns', (columns) => {
    const { grid, gram } = problem(columns, { rows: 17, runs: columns === 4 ? 2 : 1 });
    const codes = gptq({ ...grid, gram });
    const of = (q: Int8Array) => sum(errors(grid.weight, codeValues(q, grid), gram, columns));
    expect(of(codes)).toBeLessThan(of(nearestCodes(grid)));
    expect(Math.min(...codes)).toBeGreaterThanOrEqual(-8);
    expect(Math.max(...codes)).toBeLessThanOrEqual(7);
  });

  test('damps a matrix that rounding has left indefinite, and gives up where nothing else is left of it', () => {
    const almost = Float64Array.of(1, 1.02, 1.02, 1); // eigenvalues 2.02 and -0.02
    const factor = gptqFactor(almost, 2);
    expect(factor?.pivots.every((pivot) => pivot > 0)).toBe(true);
    expect(gptqFactor(Float64Array.of(1, 9, 9, 1), 2)).toBeUndefined();
    expect(gptqFactor(Float64Array.of(-1e-7, 0, 0, -1e-9), 2)).toBeUndefined();
  });

  test('keeps the nearest codes where inputs do not depend on each other', () => {
    const { grid } = problem(5);
    const gram = Float64Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? 1 + i : 0));
    expect([...gptq({ ...grid, gram })]).toEqual([...nearestCodes(grid)]);
    expect(gptqFactor(new Float64Array(25), 5)).toBeUndefined();
    const single = problem(1);
    expect([...gptq({ ...single.grid, gram: single.gram })]).toEqual([...nearestCodes(single.grid)]);
  });

  test('leaves a column that no input reaches alone', () => {
    const { grid, inputs } = problem(9);
    const without = inputs.map((x, i) => (i % 9 === 4 ? 0 : x));
    const gram = gramOf(without, without, 9);
    const codes = gptq({ ...grid, gram });
    const nearest = nearestCodes(grid);
    for (let row = 0; row < grid.rows; row++) expect(codes[row * 9 + 4]).toBe(nearest[row * 9 + 4]);
    expect([...codes]).not.toEqual([...nearest]);
  });

  test('stays within a restricted range', () => {
    const { grid, gram } = problem(65, { bits: 3 });
    const codes = gptq({ ...grid, gram, range: codeRange(3, true) });
    expect([Math.min(...codes), Math.max(...codes)]).toEqual([-3, 3]);
  });
});

describe('the ridge', () => {
  test.each(golden.cases)('is the least squares solution of PyTorch: $rows x $columns', (made) => {
    const { weight, gram, cross, penalty, ridge } = made;
    const [g, c] = [Float64Array.from(gram), Float64Array.from(cross)];
    ridgeWeights(Float32Array.from(weight), g, c, penalty).forEach((value, i) => {
      expect(Math.abs(value - ridge[i]!)).toBeLessThan(1e-6);
    });
  });

  test.each(SIZES)('makes up for coarse inputs: %i columns', (columns) => {
    const { grid, inputs } = problem(columns);
    const coarse = inputs.map((x) => Math.round(2 * x) / 2);
    const [gram, cross] = [gramOf(coarse, coarse, columns), gramOf(coarse, inputs, columns)];
    /** `|| X w - X^ v ||^2` but for `|| X w ||^2`, over all rows. */
    const error = (values: Float32Array) => {
      let total = 0;
      for (let row = 0; row < grid.rows; row++) {
        for (let i = 0; i < columns; i++) {
          for (let j = 0; j < columns; j++) {
            const [v, w] = [values[row * columns + i]!, grid.weight[row * columns + j]!];
            total += v * (gram[i * columns + j]! * values[row * columns + j]! - 2 * cross[i * columns + j]! * w);
          }
        }
      }
      return total;
    };
    const lambda = 0.01 * meanDiagonal(gram, columns);
    const moved = ridgeWeights(grid.weight, gram, cross, lambda);
    expect(error(moved)).toBeLessThan(error(grid.weight));
    expect([...ridgeWeights(grid.weight, gram, gram, lambda)]).toEqual([...grid.weight]);
  });
});

describe('refined rounding', () => {
  test.each(SIZES)('leaves no flip of one code that would err less: %i columns', (columns) => {
    const { grid, gram } = problem(columns, { rows: 17, runs: columns === 4 ? 2 : 1 });
    const nearest = nearestCodes(grid);
    const codes = refine({ ...grid, gram, codes: nearest, passes: 100 });
    const of = (q: Int8Array) => errors(grid.weight, codeValues(q, grid), gram, columns);
    const [before, after] = [of(nearest), of(codes)];
    after.forEach((error, row) => expect(error).toBeLessThanOrEqual(before[row]! * (1 + 1e-9)));
    if (columns > 5) return expect(sum(after)).toBeLessThan(0.8 * sum(before));
    for (let i = 0; i < codes.length; i++) {
      for (const by of [-1, 1]) {
        const flipped = codes.slice();
        flipped[i]! += by;
        if (flipped[i]! < -8 || flipped[i]! > 7) continue;
        const row = Math.floor(i / columns);
        expect(of(flipped)[row]!).toBeGreaterThanOrEqual(after[row]! * (1 - 1e-9));
      }
    }
  });

  test('betters the codes of GPTQ', () => {
    const { grid, gram } = problem(65, { rows: 20, bits: 3 });
    const compensated = gptq({ ...grid, gram });
    const of = (q: Int8Array) => sum(errors(grid.weight, codeValues(q, grid), gram, 65));
    expect(of(refine({ ...grid, gram, codes: compensated }))).toBeLessThan(of(compensated));
  });

  test('takes the best flip first and stops at the bound and at the ends of the range', () => {
    const grid = {
      weight: Float32Array.of(0.9, 2.9, -9, 9),
      scales: Float32Array.of(1),
      rows: 1,
      columns: 4,
      range: codeRange(4, true),
    };
    const gram = Float64Array.of(2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);
    const codes = Int8Array.of(0, 0, -7, 7);
    expect([...refine({ ...grid, gram, codes, passes: 0.25 })]).toEqual([0, 1, -7, 7]);
    expect([...refine({ ...grid, gram, codes, passes: 0.5 })]).toEqual([0, 2, -7, 7]);
    expect([...refine({ ...grid, gram, codes })]).toEqual([1, 3, -7, 7]);
  });
});
