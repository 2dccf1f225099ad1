import { largestTwinShift } from '../kernels/codes.ts';
import { PLANE_SHIFT } from '../kernels/quantizeLevels.ts';

/** Quantizers as data: what a recipe stores, what a search chooses and what a simulation or an export carries out. */

/** Uniform codes `clamp(round(x / scale), -q, q - 1)`, q = 2^(bits - 1); one scale per group. */
export interface UniformQuantizer {
  readonly type: 'uniform';
  readonly bits: number;
  /** What has a scale of its own: the tensor, each part (q, k, v), each head, or each output channel. */
  readonly granularity: 'tensor' | 'part' | 'head' | 'channel';
  /** f32 values, one per group in order. */
  readonly scales: readonly number[];
  /** Without the code -q. */
  readonly restricted?: true;
  /**
   * Code of the value 0, in 1 - q..q - 1: codes are `clamp(round(x / scale) + zeroPoint, ...)`, values `(code - zeroPoint) scale`.
   * Of left operands of linear layers with one scale.
   */
  readonly zeroPoint?: number;
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

/** Pixels as `value - 128`: exact 8-bit codes at every width, step 1. */
export interface PixelQuantizer {
  readonly type: 'pixels';
  readonly bits: 8;
}

/**
 * Codes of any increasing integers, in units of `step`: log2 and adaptive-base log levels after softmax and GELU (AdaLog, section 3).
 * A value takes the nearest level. A product reads a level as two planes of 7 bits, `128 hi + lo` for probabilities and
 * `128 hi - lo` after GELU, so that the codes of both planes are twin codes with shift 7 over twice the depth.
 */
export interface LevelsQuantizer {
  readonly type: 'levels';
  readonly operand: 'softmax' | 'gelu';
  readonly family: 'log2' | 'adaptive-log';
  readonly bits: number;
  /** f32: the real value of one unit of a level. */
  readonly step: number;
  /** At most 2^bits, ascending: in 0..16383 for softmax, -127..16256 for gelu. */
  readonly levels: readonly number[];
}

export type ActivationQuantizer =
  UniformQuantizer | TwinSoftmaxQuantizer | TwinGeluQuantizer | PixelQuantizer | LevelsQuantizer;

/**
 * The real step of one integer unit of a code of each group: `scales` of a uniform quantizer, s_R1 of twin ranges (whose R2
 * codes count 2^shift units each), 1 for pixels.
 */
export function steps(quantizer: ActivationQuantizer): readonly number[] {
  switch (quantizer.type) {
    case 'uniform':
      return quantizer.scales;
    case 'twin-softmax':
      return [2 ** -(quantizer.bits - 1 + quantizer.shift)];
    case 'twin-gelu':
      return [quantizer.scaleR2 / 2 ** quantizer.shift];
    case 'pixels':
      return [1];
    case 'levels':
      return [quantizer.step];
  }
}

/** Left shift of R2 codes inside the integer product; 0 without twin ranges. */
export function twinShift(quantizer: ActivationQuantizer): number {
  if (quantizer.type === 'levels') return PLANE_SHIFT;
  return quantizer.type === 'twin-softmax' || quantizer.type === 'twin-gelu' ? quantizer.shift : 0;
}

/**
 * Largest twin shift whose int32 accumulator cannot wrap: `2^m (2^(twinBits-1) - 1) depth 2^(otherBits-1) < 2^31`.
 * Fixed before a search, so that no wrapping candidate is ever formed. -1 when even shift 0 could wrap.
 */
export function maxTwinShift(twinBits: number, otherBits: number, depth: number): number {
  return Math.min(15, largestTwinShift(twinBits, depth, otherBits));
}

/** Largest step for which `largest` is the last code's own cell: max / (q - 1/2), rounded to f32; 2^-149 keeps an all-zero group legal. */
export function initialScale(largest: number, bits: number): number {
  return Math.fround(Math.max(largest, Number.MIN_VALUE) / (2 ** (bits - 1) - 0.5)) || 2 ** -126;
}
