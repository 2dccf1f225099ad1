import fc from 'fast-check';
import { expect, test } from 'vitest';
import { allocate, paretoCurve, type Choice } from '../../src/calibrate/allocate.ts';

const choice = fc.record({ cost: fc.integer({ min: 0, max: 20 }), damage: fc.integer({ min: 0, max: 50 }) });
const problem = fc.array(fc.array(choice, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 });

/** The least damage within the budget, by trying everything. */
function leastDamage(layers: readonly (readonly Choice[])[], budget: number): number {
  const [first, ...rest] = layers;
  if (!first) return budget >= 0 ? 0 : Infinity;
  return Math.min(...first.map(({ cost, damage }) => damage + leastDamage(rest, budget - cost)));
}

test('the bound holds, the allocation keeps to the budget, and a gap of 0 is the optimum', () => {
  fc.assert(
    fc.property(problem, fc.integer({ min: 0, max: 100 }), (layers, budget) => {
      const least = leastDamage(layers, budget);
      if (least === Infinity) {
        expect(() => allocate(layers, budget)).toThrow(`the budget is ${budget}`);
        return;
      }
      const { chosen, cost, damage, bound } = allocate(layers, budget);
      const picked = chosen.map((index, layer) => layers[layer]?.[index] as Choice);
      expect(cost).toBe(picked.reduce((sum, one) => sum + one.cost, 0));
      expect(damage).toBe(picked.reduce((sum, one) => sum + one.damage, 0));
      expect(cost).toBeLessThanOrEqual(budget);
      expect(damage).toBeGreaterThanOrEqual(least);
      expect(bound).toBeLessThanOrEqual(least + 1e-9);
    }),
    { numRuns: 500 },
  );
});

test('on the hull the allocation is exact', () => {
  fc.assert(
    fc.property(problem, (layers) => {
      for (const { cost, damage } of paretoCurve(layers)) {
        expect(leastDamage(layers, cost)).toBe(damage);
        expect(allocate(layers, cost).damage).toBe(damage);
      }
    }),
  );
});

test('more budget never does more damage, and all of it takes the best of every layer', () => {
  const layers = [3, 1, 7].map((sensitivity) =>
    [2, 3, 4, 5, 6, 7, 8].map((bits) => ({ cost: bits, damage: sensitivity * 4 ** -bits })),
  );
  const damages = [6, 8, 10, 12, 15, 20, 24].map((budget) => allocate(layers, budget).damage);
  expect(damages).toEqual([...damages].sort((a, b) => b - a));
  expect(allocate(layers, 24).chosen).toEqual([6, 6, 6]);
  // a layer of larger sensitivity never gets fewer bits
  const { chosen } = allocate(layers, 13);
  expect(chosen[2]).toBeGreaterThanOrEqual(chosen[0] as number);
  expect(chosen[0]).toBeGreaterThanOrEqual(chosen[1] as number);
});

test('the bound is the damage of the relaxed problem: of the step that does not fit the part that would', () => {
  const layer = [
    { cost: 0, damage: 10 },
    { cost: 10, damage: 0 },
  ];
  expect(allocate([layer], 4)).toEqual({ chosen: [0], cost: 0, damage: 10, bound: 6 });
  expect(allocate([layer, layer], 15)).toEqual({ chosen: [1, 0], cost: 10, damage: 10, bound: 5 });
  expect(allocate([layer, layer], 20)).toEqual({ chosen: [1, 1], cost: 20, damage: 0, bound: 0 });
});
