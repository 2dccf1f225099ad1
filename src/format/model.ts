import type { Preprocessing } from '../io/preprocess.ts';
import type { IntegerProgram } from './program.ts';

/** A quantized model in memory: what `readModelFile` returns and `writeModelFile` takes. */
export interface IntegerModel {
  readonly architecture: ArchitectureSummary;
  readonly preprocessing: Preprocessing;
  /** Class names, one a class. */
  readonly labels: readonly string[] | null;
  readonly provenance: Provenance;
  readonly program: IntegerProgram;
  /** By the name of their operation. */
  readonly linear: ReadonlyMap<string, LinearParameters>;
  readonly norms: ReadonlyMap<string, NormParameters>;
  readonly tokens: ReadonlyMap<string, TokensParameters>;
  readonly biases: ReadonlyMap<string, BiasParameters>;
}

/** Sizes for people; inference goes by the program alone. */
export interface ArchitectureSummary {
  readonly name: string;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly embedDim: number;
  readonly depth: number;
  readonly heads: number;
  readonly hiddenDim: number;
  readonly numClasses: number;
}

export interface Provenance {
  /** Lowercase hexadecimal SHA-256 of the float checkpoint. */
  readonly weightsSha256: string;
  /** Of the text of the recipe. */
  readonly recipeSha256: string;
  /** The calibration's options as in the recipe. */
  readonly options: unknown;
  readonly calibrationImages: number;
  /** Name and version of the program that wrote the file. */
  readonly writtenBy: string;
}

export interface LinearParameters {
  /** `[outFeatures][inFeatures]`, each inside the operation's `weightBits`. */
  readonly codes: Int8Array;
  /** Real step of the weight of each output feature. Inference in integers does not read them. */
  readonly scales: Float32Array;
  /** `[outFeatures]`, in units of the accumulator. */
  readonly bias: Int32Array | null;
  /** `[outFeatures]`, with `shifts` the rescale to the outputs: forms `8` and `int16` of `dyadic`; none for int32. */
  readonly multipliers: Uint32Array | null;
  readonly shifts: Uint8Array | null;
}

/** `gain` and `bias` of `layerNormConstants`, the gain as its signed multipliers and its shifts; `[heads][features]`. */
export interface NormParameters {
  readonly multipliers: Int32Array;
  readonly shifts: Uint8Array;
  readonly bias: Int32Array;
}

export interface TokensParameters {
  /** `[prefixRows + rows][features]`: prefix tokens with their positions added, then the positions of the patches. */
  readonly values: Int16Array;
}

export interface BiasParameters {
  /** `[heads][entries]`, in units of the scores of a head. */
  readonly values: Int32Array;
}
