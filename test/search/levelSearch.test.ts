import { expect, test } from 'vitest';
import {
  levelsAt,
  levelsCost,
  levelSpace,
  middle,
  searchLevels,
  type EvaluateLevels,
} from '../../src/calibrate/levelSearch.ts';
import { nearestLevels } from '../../src/reference/quantizeLevels.ts';
import { noise } from '../support/floats.ts';

const gelu = levelSpace({ operand: 'gelu', family: 'adaptive-log', bits: 4 }, 5, 16_256, { alpha: 0.2 });
const softmax = levelSpace({ operand: 'softmax', family: 'log2', bits: 4 }, 0.9, 16_383, { alpha: 0.2 });

/** Squared errors of values that GELU could have written, and how many quantizers were asked for. */
function errors(values: Float32Array): { evaluate: EvaluateLevels; asked: () => number } {
  let count = 0;
  const evaluate: EvaluateLevels = (quantizers) => {
    count += quantizers.length;
    return Promise.resolve(
      quantizers.map((quantizer) => {
        const levels = nearestLevels(values, quantizer);
        return levels.reduce((sum, level, i) => sum + (level * quantizer.step - (values[i] as number)) ** 2, 0);
      }),
    );
  };
  return { evaluate, asked: () => count };
}

const outputs = noise(400, 7, 1).map((x) => (x < 0 ? 0.17 * x : 5 * x ** 4));
const probabilities = noise(400, 8, 1).map((x) => 0.9 * Math.abs(x) ** 8);

test.each([
  ['gelu', gelu, outputs],
  ['softmax', softmax, probabilities],
] as const)(
  '%s: few candidates find levels nearly as good as all of them, and no worse than those given',
  async (...args) => {
    const [, space, values] = args;
    const all = errors(values);
    const best = await searchLevels(space, { full: all.evaluate }, 'exhaustive', middle(space), false);
    expect(all.asked()).toBe(levelsCost(space, 'exhaustive', 1 / 8, false));
    expect((await all.evaluate([levelsAt(space, best.point)]))[0]).toBe(best.score);
    expect(best.score).toBeLessThan(((await all.evaluate([levelsAt(space, middle(space))]))[0] as number) * 0.999);
    const [full, screen] = [errors(values), errors(values)];
    const both = { full: full.evaluate, screen: screen.evaluate };
    const first = await searchLevels(space, both, 'coarse-to-fine', middle(space), false);
    const second = await searchLevels(space, both, 'coarse-to-fine', first.point, true);
    const third = await searchLevels(space, both, 'coarse-to-fine', second.point, true);
    expect(second.score).toBeLessThanOrEqual(first.score);
    expect(third.score).toBeLessThanOrEqual(second.score);
    expect(third.score).toBeLessThan(1.02 * best.score);
  },
);

test.each([true, false])('asks for what it announces, near: %s', async (near) => {
  const [full, screen] = [errors(outputs), errors(outputs)];
  await searchLevels(gelu, { full: full.evaluate, screen: screen.evaluate }, 'coarse-to-fine', middle(gelu), near);
  expect(full.asked() + screen.asked() / 8).toBe(levelsCost(gelu, 'coarse-to-fine', 1 / 8, near));
});

test('all rows decide among the most promising, and the levels given stay when nothing is better', async () => {
  const start = { base: 3, negatives: 2, factor: 0.5 };
  const best = levelsAt(gelu, start);
  const full: EvaluateLevels = (all) =>
    Promise.resolve(all.map((one) => (one.levels.join() === best.levels.join() && one.step === best.step ? 0 : 1)));
  const screen: EvaluateLevels = (all) => Promise.resolve(all.map((one) => -one.step));
  for (const near of [true, false]) {
    const { point, score } = await searchLevels(gelu, { full, screen }, 'coarse-to-fine', start, near);
    expect([point, score]).toEqual([start, 0]);
  }
});

test('log2 has whole and half octaves, an adaptive base AdaLog’s, and no maximum above the range or below alpha', () => {
  expect(softmax.bases).toEqual([0.5, 1]);
  expect(softmax.negatives).toEqual([0]);
  for (const octaves of gelu.bases) expect(Math.abs(octaves * 37 - Math.round(octaves * 37))).toBeLessThan(1e-12);
  expect(gelu.bases).toEqual([...new Set(gelu.bases)].sort((a, b) => a - b));
  expect(Math.max(...gelu.negatives)).toBeLessThan(16);
  expect([gelu.alpha, softmax.alpha]).toEqual([0.4, 1 / 16]);
  const kind = { operand: 'gelu', family: 'log2', bits: 4 } as const;
  expect(levelSpace(kind, 5, 16_256, { alpha: 0.7 }).alpha).toBe(0.7);
  expect(levelSpace(kind, 5, 16_256, { alpha: 1.1 }).alpha).toBe(1);
});

test.each([
  ['gelu', gelu],
  ['softmax', softmax],
] as const)(
  '%s: the maxima that are screened are a geometric grid, and finer ones about the best of a base',
  async (_name, space) => {
    const largest = (quantizer: { readonly levels: readonly number[]; readonly step: number }) =>
      ((quantizer.levels.at(-1) as number) * quantizer.step) / space.range;
    const wanted = 0.8; // between two of the grid
    const asked: number[] = [];
    const evaluate: EvaluateLevels = (all) => {
      asked.push(...all.map(largest));
      return Promise.resolve(all.map((one) => Math.abs(Math.log(largest(one) / wanted))));
    };
    const { score } = await searchLevels(space, { full: evaluate }, 'coarse-to-fine', middle(space), false);
    const gap = -Math.log(space.alpha) / 6;
    expect(Math.max(...asked)).toBeCloseTo(1, 3);
    expect(Math.min(...asked)).toBeCloseTo(space.alpha ** (5 / 6), 3);
    expect(score).toBeLessThan(gap / 4 + 1e-3); // four about the best, a half of a gap apart
  },
);
