import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeRange, largestSums } from '../../src/format/bounds.ts';
import type { IntegerCodes, IntegerTensor, ProductOperation } from '../../src/format/program.ts';
import { validateOperation } from '../../src/format/validateOperation.ts';
import { decodeCode } from '../../src/reference/codes.ts';

/** Every integer that a code of this meaning can stand for. */
function everyValue(codes: IntegerCodes): number[] {
  const { kind, levels } = codes;
  if (levels) return [...levels];
  if (kind === 'twin-softmax' || kind === 'twin-gelu') {
    return Array.from({ length: 2 ** codes.bits }, (_, byte) => decodeCode(byte, { ...codes, kind }));
  }
  return Array.from({ length: 2 ** codes.bits }, (_, i) => i - 2 ** (codes.bits - 1));
}

const levels = fc
  .uniqueArray(fc.integer({ min: -127, max: 16256 }), { minLength: 1, maxLength: 9 })
  .map((values): IntegerCodes => ({ kind: 'levels-gelu', bits: 8, shift: 7, levels: values.sort((a, b) => a - b) }));
const ranges = fc
  .record({
    kind: fc.constantFrom('uniform', 'twin-softmax', 'twin-gelu'),
    bits: fc.integer({ min: 2, max: 8 }),
    shift: fc.integer({ min: 0, max: 15 }),
  })
  .map((codes): IntegerCodes => (codes.kind === 'uniform' ? { ...codes, shift: 0 } : codes) as IntegerCodes);
const meanings = fc.oneof({ weight: 3, arbitrary: ranges }, levels);

test('the range of a code is that of its decoding', () => {
  fc.assert(
    fc.property(meanings, (codes) => {
      const values = everyValue(codes);
      expect([...codeRange(codes)].map((x) => x + 0)).toEqual(
        [Math.min(...values), Math.max(...values)].map((x) => x + 0),
      );
    }),
    { seed: 1, numRuns: 200 },
  );
});

describe('largestSums', () => {
  test('is what the worst input reaches, plus the size of the bias', () => {
    const weight = fc.integer({ min: -128, max: 127 });
    const problem = fc.integer({ min: 1, max: 6 }).chain((inFeatures) =>
      fc.record({
        codes: meanings,
        rows: fc.array(fc.array(weight, { minLength: inFeatures, maxLength: inFeatures }), {
          minLength: 1,
          maxLength: 4,
        }),
        bias: fc.array(fc.integer({ min: -(2 ** 30), max: 2 ** 30 }), { minLength: 4, maxLength: 4 }),
        inFeatures: fc.constant(inFeatures),
      }),
    );
    fc.assert(
      fc.property(problem, ({ codes, rows, bias, inFeatures }) => {
        const values = everyValue(codes);
        const reach = rows.map((row, i) => {
          const of = (choose: (...products: number[]) => number) =>
            row.reduce((sum, w) => sum + choose(...values.map((x) => x * w)), 0);
          return Math.max(of(Math.max), -of(Math.min)) + Math.abs(bias[i] as number);
        });
        const found = largestSums(Int8Array.from(rows.flat()), rows.length, inFeatures, codes, Int32Array.from(bias));
        expect(found).toEqual({ sum: Math.max(...reach), feature: reach.indexOf(Math.max(...reach)) });
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  test('takes no bias as 0 and names the first feature of the largest', () => {
    const input: IntegerCodes = { kind: 'uniform', bits: 8, shift: 0 };
    expect(largestSums(Int8Array.of(1, -2, -2, 1), 2, 2, input, null)).toEqual({ sum: 3 * 128 - 1, feature: 0 });
    expect(largestSums(Int8Array.of(1, 2, -2, -1), 2, 2, input, null)).toEqual({ sum: 384, feature: 0 });
    expect(largestSums(Int8Array.of(0, 0), 2, 1, input, null)).toEqual({ sum: 0, feature: 0 });
  });
});

describe('a product of activations', () => {
  const product: ProductOperation = {
    kind: 'product',
    name: 'p',
    a: 'a',
    b: 'b',
    output: 'y',
    bias: null,
    rescales: null,
  };
  const tensors = (depth: number): Record<string, IntegerTensor> => {
    const tensor = { heads: 1, scales: [1] };
    return {
      a: { ...tensor, layout: 'left', rows: 3, columns: depth, codes: { kind: 'twin-gelu', bits: 2, shift: 15 } },
      b: { ...tensor, layout: 'right', rows: depth, columns: 4, codes: { kind: 'uniform', bits: 8, shift: 0 } },
      y: { ...tensor, layout: 'int32', rows: 3, columns: 4 },
    };
  };

  test('of levels counts the largest of them', () => {
    const a = (largest: number): IntegerTensor => {
      const codes = { kind: 'levels-softmax', bits: 2, shift: 7, levels: [0, 7, largest] } as const;
      return { layout: 'left', heads: 1, scales: [1], rows: 3, columns: 1025, codes };
    };
    const others = tensors(1025); // 1025 16368 128 = 2^31 - 8192 ... and one more is past it
    expect(() => validateOperation(product, { ...others, a: a(16367) }, 'f')).not.toThrow();
    expect(() => validateOperation(product, { ...others, a: a(16369) }, 'f')).toThrow('can reach 2147612800');
  });

  test('is taken up to the last depth below 2^31', () => {
    // 1 << 15 times -2^7: 2^22 a product
    expect(() => validateOperation(product, tensors(511), 'f')).not.toThrow();
    expect(() => validateOperation(product, tensors(512), 'f')).toThrow(
      'f: product "p": shift 15 at depth 512 can reach 2147483648 in a 32-bit accumulator, wanted below 2^31',
    );
  });
});
