import { beforeAll, expect, test } from 'vitest';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { BudgetError, chooseFamilies, chooseWidths } from '../../src/calibrate/mixedPrecision.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { measureProductTimes } from '../../src/calibrate/productTimes.ts';
import {
  measureFamilies,
  measureSensitivity,
  TIMED_FAMILIES,
  WIDTHS,
  type LayerSensitivity,
} from '../../src/calibrate/sensitivity.ts';
import { searchedLayers } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { useGpu } from '../support/device.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const shared = useGpu();
const options = calibrationOptions('default', { activationBits: 8 });
let model: Model;
let images: CalibrationImage[];
let sensitivities: LayerSensitivity[];
beforeAll(async () => {
  model = await sampleModel();
  images = await sampleImages(model, 'calib', 1);
  sensitivities = await measureSensitivity(shared.gpu, model, images, options);
});

test('every layer is measured in the order of the network, weights at every width', () => {
  const layers = searchedLayers(model.network);
  expect(sensitivities.map(({ name }) => name)).toEqual(layers.map(({ name }) => name));
  for (const { name, parameters, damage } of sensitivities) {
    expect(damage, name).toHaveLength(parameters > 0 ? WIDTHS.length : 1);
    if (parameters === 0) continue;
    const [at2, , at4, , , , at8] = damage as [number, number, number, number, number, number, number];
    expect(at4, name).toBeLessThan(at2);
    expect(at8, name).toBeLessThan(at4);
    expect(at8, name).toBeGreaterThan(0);
  }
});

test('a budget of bits is kept, and spent where the network is sensitive', async () => {
  const mixed = chooseWidths(sensitivities, { bits: 4.5 });
  expect(mixed.cost).toBeLessThanOrEqual(4.5);
  expect(mixed.cost).toBeGreaterThan(4.3);
  expect(mixed.damage).toBeGreaterThanOrEqual(mixed.bound);
  const weights = sensitivities.filter(({ parameters }) => parameters > 0);
  const uniform = weights.reduce((sum, { damage }) => sum + (damage[WIDTHS.indexOf(4)] as number), 0);
  expect(mixed.damage).toBeLessThan(uniform);
  const quick = { rounds: 1, candidates: 3, outerWeightBits: 'same', layers: mixed.rules } as const;
  const { recipe } = await calibrate(shared.gpu, model, images, { ...options, ...quick });
  expect(recipe.meanWeightBits).toBeCloseTo(mixed.cost, 10);
});

test('a budget of bytes counts whole bytes a layer; one below two bits a weight is refused with the least', () => {
  const weights = sensitivities.reduce((sum, { parameters }) => sum + parameters, 0);
  const mixed = chooseWidths(sensitivities, { bytes: Math.floor(weights / 2) });
  expect(mixed.cost).toBeLessThanOrEqual(weights / 2);
  expect(() => chooseWidths(sensitivities, { bytes: 1000 })).toThrow(BudgetError);
  expect(() => chooseWidths(sensitivities, { bytes: 1000 })).toThrow('1000 bytes are too few');
});

test('a budget of time chooses twin ranges or levels by the times of this adapter', async () => {
  const layers = searchedLayers(model.network);
  const times = await measureProductTimes(shared.gpu, model.network);
  expect(times.map(({ name }) => name)).toEqual(layers.map(({ name }) => name));
  for (const { name, codesMs, levelsMs } of times) {
    expect(codesMs, name).toBeGreaterThan(0);
    expect(levelsMs !== undefined, name).toBe(/fc2|pv|values|matmul2/.test(name));
  }
  const narrow = { ...options, activationBits: 4 };
  const families = await measureFamilies(shared.gpu, model, images, narrow);
  expect(families.map(({ name }) => name)).toEqual(
    times.flatMap(({ name, levelsMs }) => (levelsMs === undefined ? [] : [name])),
  );
  for (const { name, damage } of families) {
    expect(damage, name).toHaveLength(TIMED_FAMILIES.length);
    for (const nats of damage) expect(nats, name).toBeGreaterThan(0);
  }
  const generous = chooseFamilies(families, times, { ms: 1e6 });
  const least = families.reduce((sum, { damage }) => sum + Math.min(...damage), 0);
  expect(generous.damage).toBeCloseTo(least, 10);
  expect(generous.bound).toBeCloseTo(least, 10);
  const quick = {
    rounds: 1,
    candidates: 2,
    compensation: 'none',
    biasCorrection: 'none',
    layers: generous.rules,
  } as const;
  const { recipe } = await calibrate(shared.gpu, model, images, { ...narrow, ...quick });
  const types = new Map(recipe.layers.map(({ name, a }) => [name, a.type]));
  for (const { pattern, options: chosen } of generous.rules) {
    const family = chosen.softmax ?? chosen.gelu;
    expect(types.get(pattern), pattern).toBe(
      family === 'twin' ? (chosen.softmax ? 'twin-softmax' : 'twin-gelu') : 'levels',
    );
  }
});
