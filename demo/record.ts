/** What the page knows of a run when it is over: shown, downloaded, and kept as the recorded run of a browser without WebGPU. */
import type {
  AdapterDescription,
  Comparison,
  LayerCurve,
  LayerRecipe,
  LayerReport,
  RankedClass,
} from '../src/index.ts';
import type { Operand } from './protocol.ts';
import type { Settings } from './settings.ts';

export interface LayerResult {
  readonly report: LayerReport;
  readonly layer: LayerRecipe;
}

/** What the candidate scales of an operand do to the logits, as `twinshift curve` states it. */
export interface TrueCurve {
  readonly layer: string;
  readonly operand: Operand;
  readonly curve: LayerCurve;
}

/** One evaluated image: what both networks say of it. */
export interface ImageResult {
  readonly file: string;
  /** The class that it shows; null where it is not known. */
  readonly label: number | null;
  readonly float: RankedClass;
  readonly integer: RankedClass;
  /** Largest difference of a logit between the two, in units of the logits. */
  readonly difference: number;
}

export interface SelfTestVerdict {
  readonly passed: number;
  readonly total: number;
  /** Names of the kernels that gave other numbers than their twins. */
  readonly failed: readonly string[];
}

export interface RunRecord {
  readonly format: 'twinshift-demo-run';
  readonly version: 1;
  readonly writtenBy: string;
  readonly adapter: AdapterDescription;
  readonly model: { readonly name: string; readonly architecture: string };
  readonly settings: Settings;
  readonly calibrationImages: number;
  readonly meanWeightBits: number;
  readonly meanActivationBits: number;
  /** Of the checkpoint as it was read, and of the model file. */
  readonly bytes: { readonly float: number; readonly integer: number };
  readonly imagesPerSecond: { readonly float: number; readonly integer: number };
  /** Milliseconds from the first byte to the model file. */
  readonly quantizeMs: number;
  readonly comparison: Comparison;
  readonly images: readonly ImageResult[];
  /** i32 of all images, one after another; absent from a recorded run. */
  readonly integerLogits?: readonly number[];
  readonly layers: readonly LayerResult[];
  /** Those that were asked for; absent from a recorded run. */
  readonly trueCurves?: readonly TrueCurve[];
  /** Of the adapter, whose kernels are tested when its first result is there; null until that is over. */
  readonly selfTest: SelfTestVerdict | null;
}

/** What an adapter is called. */
export function adapterName({ vendor, architecture, description }: AdapterDescription): string {
  return description || [vendor, architecture].filter(Boolean).join(' ') || 'a GPU without a name';
}
