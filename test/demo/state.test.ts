import { expect, test } from 'vitest';
import type { Failure, Reply } from '../../demo/protocol.ts';
import type { RunRecord } from '../../demo/record.ts';
import { DEFAULT_SETTINGS, nonlinearOf, overridesOf, smaller } from '../../demo/settings.ts';
import { after, begun, INITIAL, withRecording, type State } from '../../demo/state.ts';
import { REPORT_LAYERS, reportOf } from '../support/reportCase.ts';

const adapter = { vendor: 'v', architecture: 'a', description: '', software: true };
const selfTest = { passed: 2, total: 3, failed: ['x'] };
const layers = REPORT_LAYERS.map((layer, i) => ({ layer, report: reportOf(layer, 10 + i) }));
const record = { model: { name: 'tiny', architecture: 'vit' }, adapter, selfTest, layers } as unknown as RunRecord;
const failed = (kind: Failure['kind'], during: Extract<Reply, { kind: 'failed' }>['during'] = 'quantize'): Reply => {
  return { kind: 'failed', during, failure: { kind, message: `${kind}!` } };
};
const all = (...replies: readonly Reply[]): State =>
  replies.reduce((state, reply) => after(state, reply, ['blob:1']), begun(INITIAL));

test('a run is followed from its beginning to its result', () => {
  const [first] = layers as [(typeof layers)[0]];
  const under = all(
    { kind: 'adapter', adapter },
    { kind: 'progress', stage: 'quantizing: x', share: 0.5, remainingMs: 1000 },
    { kind: 'started', layers: ['b', 'a'] },
    { kind: 'layer', ...first },
    { kind: 'note', text: 'one' },
    { kind: 'note', text: 'two' },
  );
  expect(under).toMatchObject({
    ...{ gpu: 'ready', running: true, stage: 'quantizing: x', share: 0.5, remainingMs: 1000, detail: '' },
    ...{ layerNames: ['b', 'a'], notes: ['one', 'two'], record: null },
    adapterText: 'Computes on v a, a software adapter (slow).',
  });
  expect([...under.layers]).toEqual([[first.report.name, first]]);
  const done = after(under, { kind: 'result', record, pictures: [] }, ['blob:1']);
  expect(done).toMatchObject({ running: false, record, pictures: ['blob:1'], selfTest, recorded: false });
  expect(done.classifier).toBe('the model of this run (tiny)');
  expect(after(done, { kind: 'progress', stage: 'late', share: 1, remainingMs: 1 })).toBe(done);

  const again = begun({ ...done, failure: { kind: 'hub', message: '' }, selectedLayer: 'a', photos: [] });
  const { settings, model, photos, gpu, adapterText, selfTest: verdict } = again;
  const kept = { settings, model, photos, gpu, adapterText, selfTest: verdict };
  expect(again, 'nothing else of the last run').toEqual({ ...INITIAL, ...kept, running: true, stage: 'starting' });
});

test('a failure ends a run only if it is of the run, and takes what is gone with it', () => {
  const done = all({ kind: 'result', record, pictures: [] });
  const lost = after(done, failed('device-lost', 'classify'));
  expect(lost).toMatchObject({ classifier: null, canRetry: false, record, failure: { message: 'device-lost!' } });
  expect(after(done, failed('memory', 'open')).classifier).toBe(done.classifier);
  expect(all(failed('memory'))).toMatchObject({ running: false, canRetry: true });
  expect(all(failed('input', 'classify'))).toMatchObject({ running: true, canRetry: false });
  expect(all(failed('no-webgpu', 'hello'))).toMatchObject({ gpu: 'none', adapterText: 'no-webgpu!', failure: null });
  expect(all({ kind: 'note', text: 'n' }, { kind: 'cancelled' } as Reply)).toMatchObject({
    ...{ running: false, stage: '', notes: ['n', 'Cancelled.'] },
  });
  const opened = after(lost, { kind: 'opened', file: 'f', architecture: 'vit', bytes: 1 });
  expect(opened).toMatchObject({ failure: null, classifier: 'f (vit)' });
});

test('a recorded run is shown with all its layers, and as recorded', () => {
  const state = withRecording(INITIAL, record, ['p']);
  expect(state).toMatchObject({ record, recorded: true, pictures: ['p'], selfTest });
  expect(state.layerNames).toEqual(REPORT_LAYERS.map(({ name }) => name));
  expect([...state.layers.values()]).toEqual(layers);
});

test('fewer images are half of those that there are, one at least', () => {
  expect(smaller(DEFAULT_SETTINGS)).toEqual({ ...DEFAULT_SETTINGS, calibrationImages: 16, evaluationImages: 32 });
  expect(smaller(DEFAULT_SETTINGS, 5)).toMatchObject({ calibrationImages: 2, evaluationImages: 2 });
  expect(smaller({ ...DEFAULT_SETTINGS, calibrationImages: 1 })).toMatchObject({
    ...{ calibrationImages: 1, evaluationImages: 32 },
  });
  expect(smaller(DEFAULT_SETTINGS, 1)).toBeUndefined();
});

test('settings become options of the calibration and of the export', () => {
  const chosen = { ...DEFAULT_SETTINGS, weightBits: 4, activationBits: 6, metric: 'l1', nonlinear: 'poly' } as const;
  expect(overridesOf(chosen)).toMatchObject({ weightBits: 4, activationBits: 6, metric: 'l1', softmax: 'twin' });
  expect(overridesOf({ ...chosen, twin: false })).toMatchObject({ softmax: 'uniform', gelu: 'uniform' });
  expect(nonlinearOf(chosen)).toEqual({ softmax: 'poly', gelu: 'poly', layerNorm: 'poly' });
});
