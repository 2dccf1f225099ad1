import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import golden from '../golden/quantize/levels.json' with { type: 'json' };
import { levelEntries } from '../../src/kernels/quantizeLevels.ts';
import { GELU_DEPTH } from '../../src/kernels/quantizeTwinGelu.ts';
import { BASE_ROOT, largestLevel, logLevels } from '../../src/quantize/levels.ts';
import { productShape } from '../../src/quantize/productShape.ts';
import { nearestLevels } from '../../src/reference/quantizeLevels.ts';

test.each(golden)('$bits bits, base 2^($q/37), scale $scale: the levels of AdaLog by torch', (made) => {
  const { bits, q, scale } = made;
  const kind = { operand: 'softmax', family: 'adaptive-log', bits } as const;
  const quantizer = logLevels(kind, { octaves: q / BASE_ROOT, negatives: 0 }, scale, 16383);
  const values = quantizer.levels.map((level) => level * quantizer.step);
  expect(values).toHaveLength(2 ** bits);
  const wanted = made.levels.toSorted((a, b) => a - b);
  values.forEach((value, i) => expect(Math.abs(value - (wanted[i] as number))).toBeLessThan(0.51 * quantizer.step));
  nearestLevels(Float32Array.from(made.x), quantizer).forEach((level, i) => {
    const error = Math.abs(level * quantizer.step - (made.x[i] as number));
    expect(Math.abs(error - (made.distance[i] as number))).toBeLessThan(0.51 * quantizer.step);
    // rounding the logarithm, as published, is never nearer
    expect(error).toBeLessThan(Math.abs((made.rounded[i] as number) - (made.x[i] as number)) + 0.51 * quantizer.step);
  });
});

test.each([
  ['softmax', 8, 197, 16_383],
  ['gelu', 8, 768, 16_256],
  ['gelu', 8, 1536, 10_922],
  ['gelu', 8, 3072, 5461],
  ['gelu', 4, 3072, 16_256],
] as const)('%s, %i-bit B, depth %i: levels up to %i fit an i32', (operand, bits, depth, level) => {
  expect(largestLevel(operand, bits, depth)).toBe(level);
  expect(level * depth * 2 ** (bits - 1)).toBeLessThan(2 ** 31);
});

describe('levels of any shape', () => {
  const shapes = fc.record({
    operand: fc.constantFrom('softmax' as const, 'gelu' as const),
    bits: fc.integer({ min: 2, max: 8 }),
    octaves: fc.double({ min: 1 / 37, max: 2, noNaN: true }),
    share: fc.double({ min: 0, max: 0.4, noNaN: true }),
    largest: fc.double({ min: 1e-6, max: 700, noNaN: true }),
    limit: fc.integer({ min: 200, max: 16_256 }),
  });

  test('are what the planes hold: distinct, ascending, at most 2^bits, one of them 0, the last near the largest value', () => {
    fc.assert(
      fc.property(shapes, ({ operand, bits, octaves, share, largest, limit }) => {
        const negatives = operand === 'gelu' ? Math.round(share * 2 ** bits) : 0;
        const kind = { operand, family: 'adaptive-log', bits } as const;
        const quantizer = logLevels(kind, { octaves, negatives }, largest, limit);
        expect(() => levelEntries(quantizer)).not.toThrow();
        expect(quantizer.levels).toContain(0);
        const top = quantizer.levels.at(-1) as number;
        expect(top).toBeGreaterThan(0);
        expect(top).toBeLessThanOrEqual(limit);
        expect(Math.abs(top * quantizer.step - largest)).toBeLessThanOrEqual(quantizer.step);
        const below = quantizer.levels.filter((level) => level < 0);
        expect(below.length).toBeLessThanOrEqual(negatives);
        if (below.length > 0)
          expect((below[0] as number) * quantizer.step).toBeGreaterThan(-GELU_DEPTH - quantizer.step);
        expect(productShape(768, quantizer).reach).toBe(768 * Math.max(top, -(below[0] ?? 0)));
      }),
      { seed: 1 },
    );
  });

  test('negative levels are spread evenly over the negative values of GELU', () => {
    const kind = { operand: 'gelu', family: 'log2', bits: 4 } as const;
    const { step, levels } = logLevels(kind, { octaves: 0.5, negatives: 3 }, 4, 16_256);
    const values = levels.slice(0, 4).map((level) => level * step);
    [-3, -2, -1, 0].forEach((i, at) => expect(values[at]).toBeCloseTo((i * GELU_DEPTH) / 3.5, 2));
  });

  test('where levels would meet on one integer the next ones follow', () => {
    const kind = { operand: 'softmax', family: 'adaptive-log', bits: 8 } as const;
    const { levels } = logLevels(kind, { octaves: 3 / 37, negatives: 0 }, 1, 16_383);
    expect(levels.slice(0, 12)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test('a range of nothing is refused', () => {
    const kind = { operand: 'gelu', family: 'log2', bits: 4 } as const;
    expect(() => logLevels(kind, { octaves: 1, negatives: 1 }, 0, 99)).toThrow('must be positive and finite, got 0');
  });
});
