import fc from 'fast-check';
import { DYADIC_FORMS, type DyadicForm } from '../../src/kernels/dyadic.ts';

/** `(acc * multiplier + 2^(shift-1)) >> shift` in big integers, saturated to 32 bits. */
export function rescaleOracle(acc: number, multiplier: number, shift: number): bigint {
  const quotient = (BigInt(acc) * BigInt(multiplier) + (1n << BigInt(shift - 1))) >> BigInt(shift);
  const [low, high] = [-(2n ** 31n), 2n ** 31n - 1n];
  return quotient < low ? low : quotient > high ? high : quotient;
}

/** Accumulators, multipliers and shifts of every size: extremes, rounding ties and their neighbours, and all the rest. */
export function rescaleArguments(form: DyadicForm): fc.Arbitrary<readonly [number, number, number]> {
  const [bits, leastShift, mostShift] = DYADIC_FORMS[form];
  const multipliers = fc.oneof(
    fc.integer({ min: 2 ** (bits - 1), max: 2 ** bits - 1 }),
    fc.constantFrom(2 ** (bits - 1), 2 ** bits - 1, 2 ** (bits - 1) + 1),
  );
  const any = fc.tuple(
    fc.oneof(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.integer({ min: -300, max: 300 }),
      fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, -65536, 65535, 65536, -1, 0),
    ),
    multipliers,
    fc.integer({ min: leastShift, max: mostShift }),
  );
  // A multiplier with many factors of 2 meets ties exactly: acc * 2^(bits-1) = (odd) * 2^(shift-1).
  const ties = fc
    .tuple(
      fc.integer({ min: leastShift, max: Math.min(mostShift, bits + 28) }),
      fc.integer({ min: -40_000, max: 40_000 }),
      fc.integer({ min: -1, max: 1 }),
    )
    .map(([shift, odd, next]) => {
      const tie = (2 * odd + 1) * 2 ** Math.max(0, shift - bits);
      return [Math.min(Math.max(tie + next, -(2 ** 31)), 2 ** 31 - 1), 2 ** (bits - 1), shift] as const;
    });
  return fc.oneof(any, ties);
}
