import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  findValleys,
  fit,
  roundCost,
  search,
  settle,
  valleysCost,
  type Evaluate,
  type Evaluators,
} from '../../src/calibrate/search.ts';

const coarse = { search: 'coarse-to-fine', candidates: 64, rounds: 3, alpha: 0.2, beta: 1.2 } as const;
const exhaustive = { search: 'exhaustive', candidates: 100, rounds: 3, alpha: 0.01, beta: 1.2 } as const;

/** Scores with one valley a group, and the candidates asked for. */
function valleys(bottoms: readonly number[]): { full: Evaluate; asked: number[][] } {
  const asked: number[][] = [];
  const full: Evaluate = (factors) => {
    asked.push(...factors.map((candidate) => [...candidate]));
    return Promise.resolve(factors.map((candidate) => candidate.map((f, g) => (f - (bottoms[g] as number)) ** 2)));
  };
  return { full, asked };
}

const curve =
  (score: (factor: number) => number): Evaluate =>
  (factors) =>
    Promise.resolve(factors.map((candidate) => candidate.map(score)));

describe('exhaustive', () => {
  test('tries alpha + i (beta - alpha) / n for i = 1..n and nothing else', async () => {
    const { full, asked } = valleys([0]);
    await search({ full }, 1, exhaustive, 'weight', 0, Float64Array.of(1));
    expect(asked).toHaveLength(100);
    expect(asked[0]?.[0]).toBeCloseTo(0.0219, 12);
    expect(asked[99]?.[0]).toBeCloseTo(1.2, 12);
  });

  test('the first of equal candidates wins, whatever the number of groups', async () => {
    const full = curve(() => 3);
    const { factors, scores } = await search({ full }, 2, exhaustive, 'weight', 0, Float64Array.of(1, 1));
    expect([...factors]).toEqual([0.01 + 1.19 / 100, 0.01 + 1.19 / 100]);
    expect([...scores]).toEqual([3, 3]);
  });
});

describe('coarse to fine', () => {
  test.each(['weight', 'activation', 'values'] as const)(
    'asks for what it announces in every round (%s)',
    async (landscape) => {
      for (const round of [0, 1, 2]) {
        const [all, few] = [valleys([0.7, 0.9]), valleys([0.7, 0.9])];
        await search({ full: all.full, screen: few.full }, 2, coarse, landscape, round, Float64Array.of(0.7, 0.9));
        expect(all.asked.length + few.asked.length / 8).toBe(roundCost(coarse, landscape, round, 1 / 8));
      }
    },
  );

  test('following the valleys asks for what it announces', async () => {
    const [all, few] = [valleys([0.7]), valleys([0.7])];
    const evaluators: Evaluators = { full: all.full, screen: few.full };
    const starts = await findValleys(evaluators, 1, coarse);
    for (const start of starts) {
      await fit(evaluators, coarse, start);
      await settle(evaluators, coarse, start);
    }
    expect(few.asked.length / 8 + starts.length).toBe(valleysCost(coarse, 1 / 8));
  });

  test('finds the bottom of a smooth valley in every group to a hundredth', async () => {
    const bottom = fc.double({ min: 0.25, max: 1.19, noNaN: true });
    await fc.assert(
      fc.asyncProperty(fc.array(bottom, { minLength: 1, maxLength: 5 }), async (bottoms) => {
        const { full } = valleys(bottoms);
        const start = new Float64Array(bottoms.length).fill(1);
        const { factors } = await search({ full }, bottoms.length, coarse, 'weight', 0, start);
        bottoms.forEach((b, g) => expect(Math.abs((factors[g] as number) - b)).toBeLessThan(0.016));
      }),
      { seed: 1 },
    );
  });

  test('a later round never loses the factor that it began with, whatever the few rows say', async () => {
    const full = curve((f) => (f === 0.625 ? 0 : 1));
    const screen = curve((f) => -f);
    for (const round of [1, 2]) {
      const { factors, scores } = await search({ full, screen }, 1, coarse, 'weight', round, Float64Array.of(0.625));
      expect([factors[0], scores[0]]).toEqual([0.625, 0]);
    }
  });

  test('the most promising of the few rows are scored on all rows, which decide', async () => {
    const full = curve((f) => Math.abs(f - 0.99));
    const screen = curve((f) => Math.abs(f - 1)); // almost the same
    const { factors, scores } = await search({ full, screen }, 1, coarse, 'weight', 2, Float64Array.of(0.95));
    expect(Math.abs((factors[0] as number) - 0.99)).toBeLessThan(0.015);
    expect(scores[0]).toBeCloseTo(Math.abs((factors[0] as number) - 0.99), 12);
  });

  test('with a single round the score that is stated is that of all rows', async () => {
    const full = curve((f) => 100 + f);
    const screen = curve((f) => f);
    const once = { ...coarse, rounds: 1 };
    const { factors, scores } = await search({ full, screen }, 1, once, 'weight', 0, Float64Array.of(1));
    expect(scores[0]).toBe(100 + (factors[0] as number));
  });
});

describe('valleys', () => {
  /** Two valleys: a deep one at 0.4 and a shallow one at 1. */
  const two = curve((f) => Math.min(1 + 5 * (f - 1) ** 2, 0.5 + 5 * (f - 0.4) ** 2));

  test('both are found, the deepest first, and they lie apart', async () => {
    const [first, second] = (await findValleys({ full: two }, 1, coarse)) as [Float64Array, Float64Array];
    expect(Math.abs((first[0] as number) - 0.4)).toBeLessThan(0.03);
    expect(Math.abs((second[0] as number) - (first[0] as number))).toBeGreaterThan(0.05);
    const all = await findValleys({ full: two }, 1, coarse);
    for (const [i, one] of all.entries()) {
      for (const other of all.slice(0, i)) {
        const [low, high] = [one[0] as number, other[0] as number].sort((a, b) => a - b) as [number, number];
        expect(high - low).toBeGreaterThan(0.12 * high);
      }
    }
  });

  test('settling stays in its valley and finds the bottom', async () => {
    const { factors } = await settle({ full: two }, coarse, Float64Array.of(1.03));
    expect(Math.abs((factors[0] as number) - 1)).toBeLessThan(0.01);
  });
});
