import { expect, test } from 'vitest';
import { FormatError } from '../../src/io/errors.ts';
import { readEvaluation, readRun } from '../../src/report/readRun.ts';
import { runDocument } from '../support/reportCase.ts';

const read = (document: unknown) => readRun(JSON.stringify(document), 'x.run.json');

test('reads version 2 with figures of layers, and version 1, which has none', () => {
  const document = runDocument();
  const run = read(document);
  expect(run.layerReports).toEqual(document['layerReports']);
  expect(run.adapter).toBe('v a (software)');
  expect(run.pareto).toMatchObject({ unit: 'bits', budget: 5, cost: 4.9 });
  expect(run.pareto?.curve).toHaveLength(3);
  const { layerReports, ...older } = runDocument({ version: 1, mixedPrecision: null, modelFileBytes: null });
  expect(layerReports).toBeDefined();
  expect(read(runDocument({ peakProcessBytes: null })).peakProcessBytes).toBeNull();
  expect(read(older)).toMatchObject({ layerReports: [], pareto: null, modelFileBytes: null, images: 4 });
});

const withReport = (change: object) => {
  const document = runDocument();
  const [first, ...rest] = document['layerReports'] as Record<string, unknown>[];
  return { ...document, layerReports: [{ ...first, ...change }, ...rest] };
};
const held = { low: 0, high: 1, counts: [1] };

test.each<[string, unknown]>([
  ['format', runDocument({ format: 'twinshift-recipe' })],
  ['version', runDocument({ version: 3 })],
  ['peakProcessBytes', runDocument({ peakProcessBytes: -1 })],
  ['layerReports', runDocument({ layerReports: undefined })],
  ['stageMs.forward', runDocument({ stageMs: { forward: 'long' } })],
  ['layerReports[0].sqnrDb', withReport({ sqnrDb: null })],
  ['layerReports[0].operand', withReport({ operand: 'other' })],
  ['layerReports[0].a.clipped', withReport({ a: { histogram: held, clipped: 1.5, saturated: 0 } })],
  ['layerReports[0].a.histogram.high', withReport({ a: { histogram: { ...held, low: 2 }, clipped: 0, saturated: 0 } })],
  [
    'layerReports[0].b.histogram.counts',
    withReport({ b: { histogram: { ...held, counts: [] }, clipped: 0, saturated: 0 } }),
  ],
  [
    'layerReports[0].curves[0].metrics.mse',
    withReport({ curves: [{ operand: 'a', factors: [1, 2], chosen: 0, metrics: { mse: [1] } }] }),
  ],
  [
    'layerReports[0].curves[0].chosen',
    withReport({ curves: [{ operand: 'a', factors: [1, 2], chosen: 2, metrics: {} }] }),
  ],
])('refuses a wrong %s', (place, document) => {
  expect(() => read(document)).toThrow(FormatError);
  expect(() => read(document)).toThrow(`x.run.json: ${place} is`);
});

test('reads what evaluate printed, labels or none', () => {
  const both = readEvaluation('{"images":10,"top1":0.5,"floatTop1":0.6,"agreement":0.9,"logitSqnrDb":null}', 'e.json');
  expect(both).toMatchObject({ images: 10, top1: 0.5, top5: null, floatTop1: 0.6, logitSqnrDb: null });
  expect(() => readEvaluation('{"images":10,"top1":50}', 'e.json')).toThrow('e.json: top1 is 50');
});
