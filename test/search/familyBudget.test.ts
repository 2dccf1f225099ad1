import { expect, test } from 'vitest';
import { BudgetError, chooseFamilies, chooseWidths } from '../../src/calibrate/mixedPrecision.ts';
import type { ProductTime } from '../../src/calibrate/productTimes.ts';
import type { FamilySensitivity } from '../../src/calibrate/sensitivity.ts';

const times: readonly ProductTime[] = [
  { name: 'qkv', codesMs: 3, levelsMs: undefined },
  { name: 'values', codesMs: 1, levelsMs: 2 },
  { name: 'fc2', codesMs: 4, levelsMs: 8 },
  { name: 'late', codesMs: 4, levelsMs: 8 },
];
const layers: readonly FamilySensitivity[] = [
  { name: 'values', operand: 'softmax', damage: [0.5, 0.4] },
  { name: 'fc2', operand: 'gelu', damage: [2, 0.5] },
  { name: 'late', operand: 'gelu', damage: [0.1, 0.2] },
];
const familiesOf = (ms: number) =>
  chooseFamilies(layers, times, { ms }).rules.map(({ options }) => options.softmax ?? options.gelu);

test('without room all layers have twin ranges; other layers count', () => {
  expect(familiesOf(12)).toEqual(['twin', 'twin', 'twin']);
  expect(chooseFamilies(layers, times, { ms: 12 })).toMatchObject({ unit: 'ms', budget: 12, cost: 12 });
});

test('time goes where it saves most for its cost, and nowhere where levels are no better', () => {
  expect(familiesOf(13)).toEqual(['adaptive-log', 'twin', 'twin']);
  expect(familiesOf(16)).toEqual(['twin', 'adaptive-log', 'twin']);
  expect(familiesOf(1000)).toEqual(['adaptive-log', 'adaptive-log', 'twin']);
  const all = chooseFamilies(layers, times, { ms: 1000 });
  expect(all.cost).toBe(17);
  expect(all.damage).toBeCloseTo(1, 12);
  expect(all.bound).toBe(all.damage);
  expect(all.curve.map(({ cost }) => cost)).toEqual([12, 16, 17]);
});

test('a rule names its layer and the option of its operand', () => {
  expect(chooseFamilies(layers, times, { ms: 16 }).rules.slice(0, 2)).toEqual([
    { pattern: 'values', options: { softmax: 'twin' } },
    { pattern: 'fc2', options: { gelu: 'adaptive-log' } },
  ]);
});

test('a layer whose quantizer is stated keeps it, and its time counts', () => {
  const given = [
    { pattern: 'f*', options: { gelu: 'log2' } },
    { pattern: 'late', options: { gelu: 'uniform' } },
    { pattern: 'values', options: { softmax: 'best' } },
  ] as const;
  const mixed = chooseFamilies(layers, times, { ms: 16 }, given);
  expect(mixed.rules).toEqual([{ pattern: 'values', options: { softmax: 'twin' } }]);
  expect(mixed.cost).toBe(16);
  expect(() => chooseFamilies(layers, times, { ms: 15 }, given)).toThrow('the least is 16.00');
});

test('a layer whose width is stated keeps it, and its bits count', () => {
  const damage = [64, 32, 16, 8, 4, 2, 1];
  const weights = ['head', 'fc1', 'fc2'].map((name) => ({ name, parameters: 100, damage }));
  const given = [{ pattern: 'head', options: { weightBits: 8 } }];
  const widths = (bits: number) =>
    chooseWidths(weights, { bits }, given).rules.map(({ options }) => options.weightBits);
  expect(widths(4)).toEqual([8, 2, 2]);
  expect(widths(6)).toEqual([8, 5, 5]);
  expect(() => widths(3.9)).toThrow('the least is 4.00 bits');
});

test('a budget below the least possible is refused with the least', () => {
  expect(() => familiesOf(11.9)).toThrow(BudgetError);
  expect(() => familiesOf(11.9)).toThrow(
    '11.9 ms are too few for the products of this model on this adapter: the least is 12.00',
  );
});

test('where levels measured faster they are the least', () => {
  const odd = times.map((time) => (time.name === 'values' ? { ...time, levelsMs: 0.5 } : time));
  expect(chooseFamilies(layers, odd, { ms: 11.5 }).cost).toBe(11.5);
  expect(() => chooseFamilies(layers, odd, { ms: 11 })).toThrow('the least is 11.50');
});

test('a budget of bytes counts the whole bytes that each layer fills', () => {
  const odd = ['a', 'b'].map((name) => ({ name, parameters: 7, damage: [9, 8, 7, 6, 5, 4, 3] }));
  const widthsOf = (bytes: number) => chooseWidths(odd, { bytes }).rules.map(({ options }) => options.weightBits);
  expect(chooseWidths(odd, { bytes: 4 })).toMatchObject({ unit: 'bytes', budget: 4, cost: 4 });
  expect(() => chooseWidths(odd, { bytes: 3 })).toThrow(
    '3 bytes are too few for the weights of this model: the least is 4',
  );
  expect(widthsOf(14)).toEqual([8, 8]);
  expect(widthsOf(4)).toEqual([2, 2]);
});
