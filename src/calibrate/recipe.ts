import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';
import type { CalibrationOptions } from './options.ts';

/** The result of a calibration as plain JSON-able data: every scale, shift and score, and what they were made from. */

/** Both operands of one searched product. For a linear layer `b` is the weight. */
export interface LayerRecipe {
  readonly name: string;
  readonly kind: 'linear' | 'matmul';
  readonly a: LeftQuantizer;
  readonly b: RightQuantizer;
  /** Score of the chosen scales, mean over tokens and features; its unit is that of the metric. */
  readonly score: number;
  /** Largest twin shift that the accumulator allows, when the layer has twin ranges. */
  readonly maxShift?: number;
}

/** How a nonlinearity is computed in integers, the cheapest first; `shift` is I-ViT as published. */
export const NONLINEAR_METHODS = ['shift', 'shift-fixed', 'poly', 'lut'] as const;
export type NonlinearMethod = (typeof NONLINEAR_METHODS)[number];

/**
 * The error of every integer form of one softmax, GELU or LayerNorm on rows of the calibration images, up to 256 of them, against
 * the float function in double.
 */
export interface NonlinearRecipe {
  /** `blocks.3.attn.softmax`, `blocks.3.mlp.gelu`, or the name of the norm. */
  readonly name: string;
  readonly kind: 'softmax' | 'gelu' | 'layerNorm';
  /** The method of the least error; of equals the cheapest, and `lut` where no method has one. */
  readonly method: NonlinearMethod;
  /** Noise power over signal power of the values of its codes; null where its integers cannot hold the input. */
  readonly errors: Readonly<Record<NonlinearMethod, number | null>>;
}

/** What integer inference needs beyond the searched products. */
export interface IntegerRecipe {
  /**
   * Largest magnitude over the calibration images, by `<unit>.<tensor>`: inputs and outputs of additions and of the token
   * assembly, inputs of GELU and LayerNorm, inputs of softmax times its scale, logits.
   */
  readonly ranges: Readonly<Record<string, number>>;
  /** In the order of the forward pass; softmax and GELU only where their codes have an integer form. */
  readonly nonlinear: readonly NonlinearRecipe[];
}

export interface Recipe {
  readonly format: 'twinshift-recipe';
  readonly version: 4;
  readonly model: {
    readonly architecture: string;
    readonly weightsSha256: string;
    /** Sizes and preprocessing in the form of `storedConfig`, the same for all layouts of the checkpoint. */
    readonly config: unknown;
  };
  readonly options: CalibrationOptions;
  readonly images: readonly { readonly file: string; readonly sha256: string }[];
  /** Mean over weight parameters of the searched layers. */
  readonly meanWeightBits: number;
  /** Mean over the activation operands of the searched products, weighted by multiply-accumulates. */
  readonly meanActivationBits: number;
  /** In the order of the forward pass. */
  readonly layers: readonly LayerRecipe[];
  readonly integer: IntegerRecipe;
}
