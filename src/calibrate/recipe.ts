/** The result of a calibration as plain JSON-able data: every scale, shift and score, and what they were made from. */

/** Uniform symmetric codes `clamp(round(x / scale), -q, q - 1)`, q = 2^(bits - 1); one scale per group. */
export interface UniformQuantizer {
  readonly type: 'uniform';
  readonly bits: number;
  /** What has a scale of its own: the tensor, each part (q, k, v), each head, or each output channel. */
  readonly granularity: 'tensor' | 'part' | 'head' | 'channel';
  /** f32 values, one per group in order. */
  readonly scales: readonly number[];
}

/** Twin ranges of probabilities: `scaleR2 = 2^-(bits - 1)`, `scaleR1 = scaleR2 / 2^shift` (PTQ4ViT, section 3.2). */
export interface TwinSoftmaxQuantizer {
  readonly type: 'twin-softmax';
  readonly bits: number;
  readonly shift: number;
  /** `nearest`: the range with the closer code; `published`: R1 below 2^-shift. */
  readonly boundary: 'nearest' | 'published';
}

/** Twin ranges after GELU: negative values in R1, positive in R2, `scaleR1 = scaleR2 / 2^shift`. */
export interface TwinGeluQuantizer {
  readonly type: 'twin-gelu';
  readonly bits: number;
  readonly scaleR2: number;
  readonly shift: number;
}

/** Pixels as `value - 128`: exact 8-bit codes at every width. */
export interface PixelQuantizer {
  readonly type: 'pixels';
  readonly bits: 8;
}

export type ActivationQuantizer = UniformQuantizer | TwinSoftmaxQuantizer | TwinGeluQuantizer | PixelQuantizer;

/** Both operands of one searched product. For a linear layer `b` is the weight. */
export interface LayerRecipe {
  readonly name: string;
  readonly kind: 'linear' | 'matmul';
  readonly a: ActivationQuantizer;
  readonly b: UniformQuantizer;
  /** Score of the chosen scales, mean over tokens and features; its unit is that of the metric. */
  readonly score: number;
  /** Largest twin shift that the accumulator allows, when the layer has twin ranges. */
  readonly maxShift?: number;
}

export interface CalibrationOptions {
  readonly preset: 'default' | 'paper' | 'base';
  readonly weightBits: number;
  readonly activationBits: number;
  readonly metric: 'hessian' | 'mse' | 'cosine';
  readonly gradientSeed: 'fisher';
  readonly seed: number;
  readonly draws: number;
  readonly twin: boolean;
  readonly twinBoundary: 'nearest' | 'published';
  readonly weightGranularity: 'channel' | 'part';
  readonly rounds: number;
  readonly search: 'exhaustive' | 'coarse-to-fine';
  readonly candidates: number;
  readonly alpha: number;
  readonly beta: number;
}

export interface Recipe {
  readonly format: 'twinshift-recipe';
  readonly version: 1;
  readonly model: {
    readonly architecture: string;
    readonly weightsSha256: string;
    /** The checkpoint's config.json as read. */
    readonly config: unknown;
  };
  readonly options: CalibrationOptions;
  readonly images: readonly { readonly file: string; readonly sha256: string }[];
  readonly meanWeightBits: number;
  readonly meanActivationBits: number;
  readonly layers: readonly LayerRecipe[];
}
