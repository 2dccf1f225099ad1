/** What the page and its worker say to each other. The page draws; the worker has the GPU and does everything that takes long. */
import type { AdapterDescription, LayerCurve, LayerRecipe, LayerReport, RankedClass } from '../src/index.ts';
import type { RunRecord, SelfTestVerdict } from './record.ts';
import type { Settings } from './settings.ts';

/** Where a float model comes from. */
export type ModelSource =
  | { readonly kind: 'sample' }
  | { readonly kind: 'files'; readonly files: readonly File[] }
  | { readonly kind: 'hub'; readonly name: string };

export type DownloadName = 'model' | 'recipe' | 'weights' | 'run' | 'report' | 'onnx' | 'record';

/** Of a layer: the activation, or the weight or second activation. */
export type Operand = 'a' | 'b';

export type Request =
  | { readonly kind: 'hello' }
  | {
      readonly kind: 'quantize';
      readonly model: ModelSource;
      /** Null: the images of the sample. Photos of one's own are used to calibrate and to compare. */
      readonly photos: readonly File[] | null;
      readonly settings: Settings;
    }
  | { readonly kind: 'cancel'; readonly job: 'quantize' | 'curve' }
  /** What the scales of a layer of the last run truly do to the logits. */
  | { readonly kind: 'curve'; readonly layer: string; readonly operand: Operand }
  | { readonly kind: 'download'; readonly name: DownloadName }
  | { readonly kind: 'open'; readonly file: File }
  | { readonly kind: 'classify'; readonly image: File | ImageBitmap; readonly name: string }
  | { readonly kind: 'attention'; readonly image: number };

/** What went wrong, so that the page can say what to do. */
export type FailureKind = 'no-webgpu' | 'device-lost' | 'memory' | 'input' | 'hub' | 'program';

export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
}

/** Attention of the last tokens' readers: of the class token, or the mean over all tokens, head by head averaged, to every patch. */
export interface AttentionMap {
  readonly block: string;
  /** Patches of a side of the square. */
  readonly side: number;
  /** Share of attention of each patch, row after row. */
  readonly float: Float32Array;
  readonly integer: Float32Array;
}

export type Reply =
  | { readonly kind: 'adapter'; readonly adapter: AdapterDescription }
  | {
      readonly kind: 'progress';
      readonly stage: string;
      readonly share: number | null;
      readonly remainingMs: number | null;
      /** How far it is in other words, such as bytes. */
      readonly detail?: string;
    }
  | { readonly kind: 'note'; readonly text: string }
  /** Names of the searched layers in the order of the forward pass, when a calibration begins. */
  | { readonly kind: 'started'; readonly layers: readonly string[] }
  | { readonly kind: 'layer'; readonly report: LayerReport; readonly layer: LayerRecipe }
  | { readonly kind: 'result'; readonly record: RunRecord; readonly pictures: readonly Blob[] }
  /** After the result of the first run on an adapter. */
  | { readonly kind: 'self-test'; readonly verdict: SelfTestVerdict }
  | { readonly kind: 'curve-progress'; readonly share: number; readonly remainingMs: number | null }
  | { readonly kind: 'curve'; readonly layer: string; readonly operand: Operand; readonly curve: LayerCurve }
  | { readonly kind: 'cancelled'; readonly job: 'quantize' | 'curve' }
  | { readonly kind: 'failed'; readonly during: Request['kind']; readonly failure: Failure }
  | { readonly kind: 'file'; readonly file: string; readonly type: string; readonly content: Blob }
  /** A model file is ready to classify with. */
  | { readonly kind: 'opened'; readonly file: string; readonly architecture: string; readonly bytes: number }
  | { readonly kind: 'classified'; readonly name: string; readonly top: readonly RankedClass[]; readonly ms: number }
  | { readonly kind: 'attention'; readonly image: number; readonly maps: readonly AttentionMap[] };
