import { geluConstants, type IntGeluConstants, type IntGeluMethod } from '../kernels/geluConstants.ts';
import { dyadic, type Dyadic } from '../kernels/dyadic.ts';
import type { IntLayerNormForm } from '../kernels/layerNormConstants.ts';
import { LEVEL_FRACTION } from '../kernels/levels.ts';
import { LEVEL_LIMITS } from '../kernels/quantizeLevels.ts';
import { softmaxConstants, type IntSoftmaxConstants, type IntSoftmaxMethod } from '../kernels/softmaxConstants.ts';
import {
  steps,
  type ActivationQuantizer,
  type LevelsQuantizer,
  type TwinGeluQuantizer,
  type TwinSoftmaxQuantizer,
  type UniformQuantizer,
} from './quantizer.ts';

/** The integer forms of softmax, GELU and LayerNorm that each method stands for: input widths, steps and constants. */

/** Room above the calibration images' largest magnitude of what is kept at 16 bits; it saturates beyond. */
export const RANGE_MARGIN = 2;
/** The same for softmax logits, whose largest value decides the row. */
const LOGIT_MARGIN = 1.5;
const LOGIT_BITS = 12;
/** Bits below 1 of the probabilities that integer softmax turns into codes. */
const PROBABILITY_BITS = 24;
/** Least step of a 16-bit input of GELU: finer ones pass the integers of every method, and this is far below any code's. */
const LEAST_GELU_STEP = 2 ** -13;

/** What integer inference can write after softmax and after GELU. */
export type SoftmaxQuantizer = TwinSoftmaxQuantizer | LevelsQuantizer | UniformQuantizer;
export type GeluQuantizer = TwinGeluQuantizer | LevelsQuantizer | UniformQuantizer;

export function isSoftmaxQuantizer(quantizer: ActivationQuantizer): quantizer is SoftmaxQuantizer {
  const { type } = quantizer;
  return type === 'twin-softmax' || type === 'uniform' || (type === 'levels' && quantizer.operand === 'softmax');
}

export function isGeluQuantizer(quantizer: ActivationQuantizer): quantizer is GeluQuantizer {
  if (quantizer.type === 'uniform') {
    const { zeroPoint = 0 } = quantizer;
    return quantizer.scales.length === 1 && (zeroPoint === 0 || leastInteger(quantizer) >= LEVEL_LIMITS.gelu.low);
  }
  return quantizer.type === 'twin-gelu' || (quantizer.type === 'levels' && quantizer.operand === 'gelu');
}

/** Uniform codes after GELU with a zero point as the integers that they stand for, levels without gaps; else the quantizer. */
export function integersOf(quantizer: GeluQuantizer): GeluQuantizer {
  if (quantizer.type !== 'uniform' || !quantizer.zeroPoint) return quantizer;
  const { bits, scales } = quantizer;
  const levels = Array.from({ length: 2 ** bits }, (_, i) => leastInteger(quantizer) + i);
  return { type: 'levels', operand: 'gelu', family: 'log2', bits, step: scales[0] as number, levels };
}

function leastInteger({ bits, zeroPoint = 0 }: UniformQuantizer): number {
  return -(2 ** (bits - 1)) - zeroPoint;
}

/** Real size of the units in which a result takes its code: those of R1, of a uniform code, or eighths of a level's; one a group. */
function codeUnits(quantizer: SoftmaxQuantizer | GeluQuantizer): number[] {
  const parts = quantizer.type === 'levels' ? LEVEL_FRACTION : 1;
  return steps(quantizer).map((step) => step / parts);
}

/**
 * From probabilities in units of 2^-24 to those of the codes, one a head; null for twin codes, whose units are powers of two.
 *
 * @throws RangeError when no dyadic number holds one
 */
export function probabilityRescales(quantizer: SoftmaxQuantizer, heads: number): Dyadic[] | null {
  if (quantizer.type === 'twin-softmax') return null;
  const units = codeUnits(quantizer);
  return Array.from({ length: heads }, (_, head) => {
    return dyadic(2 ** -PROBABILITY_BITS / (units[units.length === 1 ? 0 : head] as number), 'int16');
  });
}

export interface SoftmaxForm {
  /** Width of a logit. */
  readonly logitBits: number;
  /** Real step of a logit. */
  readonly scale: number;
  readonly constants: IntSoftmaxConstants;
}

/**
 * Softmax of rows of `columns` by `method`. `shift` takes 8-bit logits as I-ViT does; the others 12 bits, `shift-fixed` as many
 * of these as its octaves leave.
 *
 * @param range largest magnitude of a logit
 * @throws RangeError when no integers of the method hold the values, with the numbers
 */
export function softmaxForm(method: IntSoftmaxMethod, range: number, columns: number): SoftmaxForm {
  if (method === 'shift') return softmaxAt(method, 8, range, columns);
  for (let bits = LOGIT_BITS; bits > 8; bits--) {
    try {
      return softmaxAt(method, bits, LOGIT_MARGIN * range, columns);
    } catch (error) {
      if (!(error instanceof RangeError) || method !== 'shift-fixed') throw error;
    }
  }
  return softmaxAt(method, 8, LOGIT_MARGIN * range, columns);
}

function softmaxAt(method: IntSoftmaxMethod, logitBits: number, range: number, columns: number): SoftmaxForm {
  const scale = stepFor(range, logitBits);
  return { logitBits, scale, constants: softmaxConstants(method, scale, columns) };
}

export interface GeluForm {
  readonly inputBits: 8 | 16;
  /** Real step of an input code. */
  readonly scale: number;
  readonly constants: IntGeluConstants;
}

/**
 * GELU into the codes of `quantizer` by `method`. `shift` takes 8-bit inputs as I-ViT does, `lut-codes` needs them; the others
 * take 16 bits.
 *
 * @param range largest magnitude of an input
 * @throws RangeError when no integers of the method hold the values, with the numbers
 */
export function geluForm(method: IntGeluMethod, range: number, quantizer: GeluQuantizer): GeluForm {
  const inputBits = method === 'shift' || method === 'lut-codes' ? 8 : 16;
  const scale = inputBits === 8 ? stepFor(range, 8) : Math.max(stepFor(RANGE_MARGIN * range, 16), LEAST_GELU_STEP);
  const { bits } = quantizer;
  const shift = quantizer.type === 'twin-gelu' ? quantizer.shift : 0;
  const scaleR1 = codeUnits(quantizer)[0] as number;
  return { inputBits, scale, constants: geluConstants(method, { scale, inputBits, bits, shift, scaleR1 }).constants };
}

/** I-ViT's own LayerNorm for `shift`; it has no polynomial and no table, so that the other methods share the repaired form. */
export function layerNormForm(method: 'shift' | 'shift-fixed' | 'poly' | 'lut'): IntLayerNormForm {
  return method === 'shift' ? 'published' : 'fixed';
}

/** Step of signed codes of `bits` whose largest is at least `range`; a range of 0 is held by any step. */
export function stepFor(range: number, bits: number): number {
  return (range > 0 ? range : 1) / (2 ** (bits - 1) - 1);
}
