import type { ActivationQuantizer, UniformQuantizer } from './quantizer.ts';

/**
 * Quantizers whose codes have no common integer product: their products run in float. They are there to be compared with; an export
 * refuses them.
 */

/** Uniform codes with a scale for each block: equal runs of rows by equal runs of columns of a weight or, with one run of rows, of inputs. */
export interface BlockQuantizer {
  readonly type: 'block';
  readonly bits: number;
  readonly rowBlocks: number;
  readonly columnBlocks: number;
  /** f32 `[rowBlocks][columnBlocks]`. */
  readonly scales: readonly number[];
  /** Without the code -q. */
  readonly restricted?: true;
}

/** Uniform codes whose scale holds the largest magnitude of the token, found as it comes. */
export interface PerTokenQuantizer {
  readonly type: 'per-token';
  readonly bits: number;
  readonly restricted?: true;
}

/**
 * Two ranges of probabilities that are added, as the published code of PTQ4ViT computes: with M = 2^(bits - 1) - 1,
 * `round(max(x, split) M) / M + round(min(x, split) / s) s`, s = split / M.
 */
export interface PublishedSoftmaxQuantizer {
  readonly type: 'published-softmax';
  readonly bits: number;
  readonly split: number;
}

/** Ranges of both signs after GELU whose scales are not tied, as in the published code: 0..q - 1 and -q..0. */
export interface PublishedGeluQuantizer {
  readonly type: 'published-gelu';
  readonly bits: number;
  /** f32, of positive values, one for each equal run of inputs. */
  readonly scales: readonly number[];
  /** f32, of negative values. */
  readonly negativeScale: number;
}

export type FloatActivationQuantizer =
  BlockQuantizer | PerTokenQuantizer | PublishedSoftmaxQuantizer | PublishedGeluQuantizer;

/** What a recipe may hold for the left and the right operand of a product. */
export type LeftQuantizer = ActivationQuantizer | FloatActivationQuantizer;
export type RightQuantizer = UniformQuantizer | BlockQuantizer;

const FLOAT_TYPES: readonly LeftQuantizer['type'][] = ['block', 'per-token', 'published-softmax', 'published-gelu'];

export function isFloatQuantizer(quantizer: LeftQuantizer): quantizer is FloatActivationQuantizer {
  return FLOAT_TYPES.includes(quantizer.type);
}

/** Both operands of a product that runs in integers. */
export interface IntegerOperands {
  readonly a: ActivationQuantizer;
  readonly b: UniformQuantizer;
}

/** Whether a product of these codes is one product of integers. */
export function isIntegerProduct<Operands extends { readonly a: LeftQuantizer; readonly b: RightQuantizer }>(
  operands: Operands,
): operands is Operands & IntegerOperands {
  return !isFloatQuantizer(operands.a) && operands.b.type === 'uniform';
}
