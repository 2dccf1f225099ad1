import { expect, test } from 'vitest';
import { searchLeft, type Fitted, type ScorePairs, type SearchedLayer } from '../../src/calibrate/leftSearch.ts';
import { levelsAt, levelSpace, middle } from '../../src/calibrate/levelSearch.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import type { UniformQuantizer } from '../../src/quantize/quantizer.ts';

const uniform = ([factor]: Float64Array): UniformQuantizer => ({
  type: 'uniform',
  bits: 4,
  granularity: 'tensor',
  scales: [factor as number],
});
const space = levelSpace({ operand: 'gelu', family: 'adaptive-log', bits: 4 }, 5, 16_256, { alpha: 0.2 });
const family = { by: 'levels', space } as const;
const target = levelsAt(space, { base: 4, negatives: 1, factor: 0.7 });

/** Lowest where the second highest level and the step are those of the target and the right scale is 0.8. */
const score: ScorePairs = (lefts, rights) =>
  Promise.resolve(
    Array.from({ length: Math.max(lefts.length, rights.length) }, (_, i) => {
      const a = lefts[lefts.length > 1 ? i : 0];
      const b = rights[rights.length > 1 ? i : 0];
      if (a?.type !== 'levels') throw new Error('levels were asked for');
      const second = ((a.levels.at(-2) as number) * a.step) / ((target.levels.at(-2) as number) * target.step) - 1;
      const step = a.step / target.step - 1;
      return Float64Array.of(second ** 2 + step ** 2 + ((b?.scales[0] as number) - 0.8) ** 2);
    }),
  );

// the first round of few candidates fits the right operand to the levels that it chose; else only alternation does
test.each([
  ['coarse-to-fine', 1],
  ['exhaustive', 0.8],
] as const)('%s moves levels to their best', async (search, factor) => {
  const options = { ...calibrationOptions('default'), search, candidates: 16, gelu: 'adaptive-log' as const };
  const right = {
    groups: 1,
    scoreGroups: { by: 'columns', parts: 1 } as const,
    initial: uniform(Float64Array.of(factor)),
    quantizer: uniform,
  };
  const plan = { kind: 'linear', operand: 'post-gelu', aBits: 4, bBits: 4, parts: 1, effort: 1 } as const;
  const layer: SearchedLayer = { name: 'fc2', plan, depth: 768, options, right, full: score, screen: undefined };
  const point = middle(space);
  const start: Fitted = {
    a: levelsAt(space, point),
    b: right.initial,
    aFactors: new Float64Array(),
    bFactors: Float64Array.of(factor),
    point,
    score: Infinity,
  };
  const found = await searchLeft(layer, family, start, 0);
  const [before] = await score([start.a], [found.b], right.scoreGroups);
  expect(found.score).toBeLessThan(0.1 * (before?.[0] as number));
  expect((await score([found.a], [found.b], right.scoreGroups))[0]?.[0]).toBe(found.score);
  expect(found.a).toEqual(levelsAt(space, found.point as typeof point));
  expect(Math.abs((found.bFactors[0] as number) - 0.8)).toBeLessThan(0.03);
  expect(found.b.scales).toEqual([...found.bFactors]);
  const later = await searchLeft(layer, family, found, 1);
  expect(later.score).toBeLessThanOrEqual(found.score);
});
