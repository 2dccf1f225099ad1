/** What the page shows: one value, changed by what a person does and by what the worker says. */
import type { LayerCurve } from '../src/index.ts';
import { curveKey } from './lossCurves.ts';
import type { AttentionMap, Failure, ModelSource, Operand, Reply } from './protocol.ts';
import { adapterName, type LayerResult, type RunRecord, type SelfTestVerdict } from './record.ts';
import { DEFAULT_SETTINGS, type Settings } from './settings.ts';

export interface State {
  /** `unknown` until the worker has looked. */
  readonly gpu: 'unknown' | 'ready' | 'none';
  readonly adapterText: string;
  readonly settings: Settings;
  readonly model: ModelSource;
  readonly photos: readonly File[] | null;
  readonly running: boolean;
  readonly stage: string;
  readonly share: number | null;
  readonly detail: string;
  readonly remainingMs: number | null;
  readonly failure: Failure | null;
  /** Whether the failure ended a run, so that another can be offered. */
  readonly canRetry: boolean;
  readonly notes: readonly string[];
  /** Names of the searched layers in the order of the forward pass. */
  readonly layerNames: readonly string[];
  readonly layers: ReadonlyMap<string, LayerResult>;
  readonly selectedLayer: string | null;
  /** The true loss that is being computed. */
  readonly curving: {
    readonly layer: string;
    readonly operand: Operand;
    readonly share: number;
    readonly remainingMs: number | null;
  } | null;
  /** Those that were computed, by `curveKey`. */
  readonly curves: ReadonlyMap<string, LayerCurve>;
  readonly record: RunRecord | null;
  /** Of the adapter of the record; null while its kernels are tested. */
  readonly selfTest: SelfTestVerdict | null;
  /** Pictures of the record, as addresses. */
  readonly pictures: readonly string[];
  /** The record was not made here. */
  readonly recorded: boolean;
  readonly attention: { readonly image: number; readonly maps: readonly AttentionMap[] | null } | null;
  /** What pictures are classified by; null without a model. */
  readonly classifier: string | null;
}

export const INITIAL: State = {
  gpu: 'unknown',
  adapterText: 'Looking for a GPU …',
  settings: DEFAULT_SETTINGS,
  model: { kind: 'sample' },
  photos: null,
  running: false,
  stage: '',
  share: null,
  detail: '',
  remainingMs: null,
  failure: null,
  canRetry: false,
  notes: [],
  layerNames: [],
  layers: new Map(),
  selectedLayer: null,
  curving: null,
  curves: new Map(),
  record: null,
  selfTest: null,
  pictures: [],
  recorded: false,
  attention: null,
  classifier: null,
};

/** The state when a run begins: nothing of the last one is left. */
export function begun(state: State): State {
  const { layerNames, layers, selectedLayer, curving, curves } = INITIAL;
  const { record, pictures, recorded, attention, classifier, notes } = INITIAL;
  const method = { layerNames, layers, selectedLayer, curving, curves };
  const result = { record, pictures, recorded, attention, classifier, notes };
  return {
    ...state,
    ...method,
    ...result,
    running: true,
    stage: 'starting',
    share: null,
    detail: '',
    remainingMs: null,
    failure: null,
  };
}

/** The state after the worker said something; `addresses` are those of the pictures of a result. */
export function after(state: State, reply: Reply, addresses: readonly string[] = []): State {
  switch (reply.kind) {
    case 'adapter': {
      const name = adapterName(reply.adapter);
      return {
        ...state,
        gpu: 'ready',
        adapterText: `Computes on ${name}${reply.adapter.software ? ', a software adapter (slow)' : ''}.`,
      };
    }
    case 'progress':
      return state.running
        ? {
            ...state,
            stage: reply.stage,
            share: reply.share,
            remainingMs: reply.remainingMs,
            detail: reply.detail ?? '',
          }
        : state;
    case 'note':
      return { ...state, notes: [...state.notes, reply.text] };
    case 'started':
      return { ...state, layerNames: reply.layers };
    case 'layer': {
      const layers = new Map(state.layers).set(reply.report.name, { report: reply.report, layer: reply.layer });
      return { ...state, layers };
    }
    case 'result': {
      const { name } = reply.record.model;
      return {
        ...state,
        running: false,
        record: reply.record,
        selfTest: reply.record.selfTest,
        pictures: addresses,
        classifier: `the model of this run (${name})`,
      };
    }
    case 'self-test':
      return { ...state, selfTest: reply.verdict };
    case 'curve-progress': {
      const { share, remainingMs } = reply;
      return state.curving ? { ...state, curving: { ...state.curving, share, remainingMs } } : state;
    }
    case 'curve': {
      const curves = new Map(state.curves).set(curveKey(reply.layer, reply.operand), reply.curve);
      return state.curving ? { ...state, curving: null, curves } : state;
    }
    case 'cancelled':
      if (reply.job === 'curve') return { ...state, curving: null };
      return { ...state, running: false, stage: '', notes: [...state.notes, 'Cancelled.'] };
    case 'failed': {
      if (reply.failure.kind === 'no-webgpu') {
        return { ...state, running: false, gpu: 'none', adapterText: reply.failure.message, failure: null };
      }
      const lost = reply.failure.kind === 'device-lost' ? { classifier: null } : {};
      const canRetry = reply.during === 'quantize';
      const curving = reply.during === 'curve' ? null : state.curving;
      const running = state.running && !canRetry;
      return { ...state, running, curving, failure: reply.failure, canRetry, ...lost };
    }
    case 'opened':
      return { ...state, failure: null, classifier: `${reply.file} (${reply.architecture})` };
    case 'attention':
      return { ...state, attention: { image: reply.image, maps: reply.maps } };
    case 'classified':
    case 'file':
      return state;
  }
}

/** A run that was recorded elsewhere, in place of one. */
export function withRecording(state: State, record: RunRecord, pictures: readonly string[]): State {
  const layers = new Map(record.layers.map((result) => [result.report.name, result]));
  const layerNames = record.layers.map(({ report }) => report.name);
  return { ...state, record, selfTest: record.selfTest, pictures, recorded: true, layers, layerNames };
}
