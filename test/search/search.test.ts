import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { candidatesPerRound, search, type Evaluate } from '../../src/calibrate/search.ts';

const coarse = { search: 'coarse-to-fine', candidates: 22, alpha: 0.2, beta: 1.2 } as const;
const exhaustive = { search: 'exhaustive', candidates: 100, alpha: 0.01, beta: 1.2 } as const;

/** Scores with one valley a group, and the number of candidates asked for. */
function valleys(bottoms: readonly number[]): { evaluate: Evaluate; asked: () => number } {
  let count = 0;
  const evaluate: Evaluate = (factors) => {
    count += factors.length;
    return Promise.resolve(factors.map((candidate) => candidate.map((f, g) => (f - (bottoms[g] as number)) ** 2)));
  };
  return { evaluate, asked: () => count };
}

describe('exhaustive', () => {
  test('tries alpha + i (beta - alpha) / n for i = 1..n and nothing else', async () => {
    const tried: number[] = [];
    const evaluate: Evaluate = (factors) => {
      tried.push(...factors.map((candidate) => candidate[0] as number));
      return Promise.resolve(factors.map(() => Float64Array.of(1)));
    };
    await search(evaluate, 1, exhaustive, 0, Float64Array.of(1));
    expect(tried).toHaveLength(100);
    expect(tried[0]).toBeCloseTo(0.0219, 12);
    expect(tried[99]).toBeCloseTo(1.2, 12);
  });

  test('the first of equal candidates wins, whatever the number of groups', async () => {
    const flat: Evaluate = (factors) => Promise.resolve(factors.map((candidate) => candidate.map(() => 3)));
    const { factors, scores } = await search(flat, 2, exhaustive, 0, Float64Array.of(1, 1));
    expect([...factors]).toEqual([0.01 + 1.19 / 100, 0.01 + 1.19 / 100]);
    expect([...scores]).toEqual([3, 3]);
  });
});

describe('coarse to fine', () => {
  test('asks for as many candidates as it announces, in the first round and later', async () => {
    for (const round of [0, 1, 2]) {
      const { evaluate, asked } = valleys([0.7, 0.9]);
      await search(evaluate, 2, coarse, round, Float64Array.of(0.7, 0.9));
      expect(asked()).toBe(candidatesPerRound(coarse, round));
    }
  });

  test('finds the bottom of a smooth valley in every group to a hundredth', async () => {
    const bottom = fc.double({ min: 0.25, max: 1.19, noNaN: true });
    await fc.assert(
      fc.asyncProperty(fc.array(bottom, { minLength: 1, maxLength: 5 }), async (bottoms) => {
        const start = new Float64Array(bottoms.length).fill(1);
        const { factors } = await search(valleys(bottoms).evaluate, bottoms.length, coarse, 0, start);
        bottoms.forEach((b, g) => expect(Math.abs((factors[g] as number) - b)).toBeLessThan(0.011));
      }),
      { seed: 1 },
    );
  });

  test('a later round never loses the factor that it began with', async () => {
    const spike: Evaluate = (factors) =>
      Promise.resolve(factors.map((candidate) => candidate.map((f) => (f === 0.625 ? 0 : 1))));
    const { factors, scores } = await search(spike, 1, coarse, 1, Float64Array.of(0.625));
    expect([factors[0], scores[0]]).toEqual([0.625, 0]);
  });
});
