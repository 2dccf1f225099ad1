import { expect, test } from 'vitest';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { compareRecipes } from '../../src/report/compareRecipes.ts';
import { recipeView } from '../../src/report/data.ts';
import { readRun } from '../../src/report/readRun.ts';
import { REPORT_LAYERS, reportOf, reportRecipe, runDocument } from '../support/reportCase.ts';

const [patch, pv, fc2] = REPORT_LAYERS as [Recipe['layers'][0], Recipe['layers'][0], Recipe['layers'][0]];
const runWith = (sqnr: number) =>
  readRun(JSON.stringify(runDocument({ layerReports: [reportOf(pv, sqnr)] })), 'run.json');

test('a view has figures of the run by name, the middle of many scales, and units where there are no figures', () => {
  const view = recipeView(reportRecipe(), 'r', runWith(12));
  expect(view.layers.map(({ unit }) => unit)).toEqual(['patch_embed', 'blocks.0', 'blocks.0']);
  expect(view.layers.map(({ report }) => report?.sqnrDb)).toEqual([undefined, 12, undefined]);
  expect(view.layers[0]?.b.scales).toEqual({ count: 3, low: 0.01, middle: 0.02, high: 0.03 });
  expect(view.layers[0]?.b.quantizer).toMatchObject({ scales: [0.02] });
  expect(view.layers.map(({ a }) => a.shift)).toEqual([null, 4, 3]);
  expect(view.run && 'layerReports' in view.run).toBe(false);
  const swin = reportRecipe({
    layers: ['layers.1.blocks.0.mlp.fc1', 'layers.0.downsample.reduction'].map((name) => ({ ...fc2, name })),
  });
  expect(recipeView(swin, 's', null).layers.map(({ unit }) => unit)).toEqual([
    'layers.1.blocks.0',
    'layers.0.downsample',
  ]);
});

test('two recipes differ in options, scales, shifts, scores and layers', () => {
  const first = reportRecipe();
  const wider = { ...pv, score: 0.01, a: { ...pv.a, shift: 6 }, b: { ...pv.b, scales: [0.1, 0.2, 0.3] } } as typeof pv;
  const second = reportRecipe({
    options: { ...first.options, weightBits: 4 },
    layers: [patch, wider, { ...fc2, name: 'head' }],
  });
  const data = compareRecipes(recipeView(first, 'a', runWith(12)), recipeView(second, 'b', runWith(15)));
  expect(data.options).toEqual([{ name: 'weightBits', first: '8', second: '4' }]);
  expect(data.sameWeights).toBe(true);
  expect(data.layers.map(({ name, same }) => [name, same])).toEqual([
    ['patch_embed', true],
    ['blocks.0.attn.pv', false],
    ['blocks.0.mlp.fc2', false],
    ['head', false],
  ]);
  const [, changed, gone, added] = data.layers;
  expect(changed).toMatchObject({ scoreRatio: 0.5, sqnrGainDb: 3, shiftChange: 2, scaleRatioA: null });
  expect(changed?.scaleRatioB).toBeCloseTo(5, 12);
  expect([gone?.b, gone?.scoreRatio, added?.a]).toEqual([null, null, null]);
  const other = recipeView(reportRecipe({ options: { ...first.options, metric: 'mse' } }), 'c', null);
  expect(compareRecipes(recipeView(first, 'a', null), other).layers.map(({ scoreRatio }) => scoreRatio)).toEqual([
    null,
    null,
    null,
  ]);
});
