import type { Dyadic } from '../kernels/dyadic.ts';
import type { GeluRescale } from '../kernels/geluConstants.ts';
import { layerNormConstants } from '../kernels/layerNormConstants.ts';
import { twinThreshold } from '../kernels/softmaxConstants.ts';
import type { AttentionBiasOperation, GeluOperation, LayerNormOperation, SoftmaxOperation } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import {
  geluForm,
  integersOf,
  layerNormForm,
  probabilityRescales,
  RANGE_MARGIN,
  softmaxForm,
  stepFor,
  type GeluQuantizer,
  type SoftmaxQuantizer,
} from '../quantize/nonlinear.ts';
import { steps, type ActivationQuantizer, type LevelsQuantizer, type UniformQuantizer } from '../quantize/quantizer.ts';
import { decodeCode } from '../reference/codes.ts';
import { erfReference } from '../reference/geluF32.ts';
import { twinGeluCode, twinSoftmaxCode } from '../reference/intExp.ts';
import { intGelu } from '../reference/intGelu.ts';
import { intLayerNormReference } from '../reference/intLayerNorm.ts';
import { intSoftmaxRow } from '../reference/intSoftmax.ts';
import { nearestCode, type NonlinearCodes } from '../reference/levels.ts';
import { shiftGeluRow } from '../reference/shiftGelu.ts';
import { isMasked } from './maskedLogits.ts';
import type { NonlinearMethod } from './recipe.ts';

/** Input rows of a nonlinear operation, f32 `[rows][columns]`. */
export interface InputRows {
  readonly columns: number;
  readonly values: Float32Array;
  /** Which rows they are, counted over all images; by default the first. */
  readonly numbers?: readonly number[];
}

export interface NonlinearProblem {
  readonly operation: SoftmaxOperation | GeluOperation | LayerNormOperation;
  /** Windows of an image, one after the other in the input of softmax. Default 1. */
  readonly windows?: number;
  /** What masked logits of softmax. */
  readonly masked?: AttentionBiasOperation | undefined;
  readonly input: InputRows;
  /** Largest magnitude that the input may take: of softmax, without masked logits, times its scale. */
  readonly range: number;
  /** Of the codes that the operation writes, one that `hasIntegerForm` admits. */
  readonly quantizer: ActivationQuantizer;
}

/** Sums over the sampled rows. */
export interface Power {
  readonly noise: number;
  readonly signal: number;
}

/**
 * What each method makes of the input rows against the float function in double: its integers, from inputs rounded to its width
 * to the values of its codes. Undefined where the method has no integers for this range. LayerNorm has two forms: all methods but
 * `shift` share one.
 */
export function nonlinearErrors(
  problem: NonlinearProblem,
  parameters: Model['parameters'],
): Record<NonlinearMethod, Power | undefined> {
  const exact = exactOf(problem, parameters);
  const power = (method: NonlinearMethod): Power | undefined => {
    const made = valuesOf(problem, method, parameters);
    if (!made) return undefined;
    let [noise, signal] = [0, 0];
    exact.forEach((value, i) => {
      noise += ((made[i] as number) - value) ** 2;
      signal += value ** 2;
    });
    return { noise, signal };
  };
  const shift = power('shift');
  const fixed = power('shift-fixed');
  if (problem.operation.kind === 'layerNorm') return { shift, 'shift-fixed': fixed, poly: fixed, lut: fixed };
  return { shift, 'shift-fixed': fixed, poly: power('poly'), lut: power('lut') };
}

function exactOf({ operation, input }: NonlinearProblem, parameters: Model['parameters']): Float64Array {
  const { columns, values } = input;
  switch (operation.kind) {
    case 'gelu':
      return Float64Array.from(values, (x) => (x * (1 + erfReference(x * Math.SQRT1_2))) / 2);
    case 'softmax':
      return byRow(values, columns, (row) => {
        const largest = row.reduce((most, x) => Math.max(most, x), -Infinity);
        const parts = row.map((x) => Math.exp(operation.scale * (x - largest)));
        const sum = parts.reduce((total, part) => total + part, 0);
        return parts.map((part) => part / sum);
      });
    case 'layerNorm': {
      const { gamma, beta } = gainOf(operation, parameters);
      return byRow(values, columns, (row) => {
        const mean = row.reduce((total, value) => total + value, 0) / columns;
        const variance = row.reduce((total, value) => total + (value - mean) ** 2, 0) / columns;
        const deviation = Math.sqrt(variance + operation.epsilon);
        return row.map((value, i) => ((value - mean) / deviation) * (gamma[i] as number) + (beta[i] as number));
      });
    }
  }
}

/** The values of the codes that `method` writes; undefined when it has no integers for the range. */
function valuesOf(
  problem: NonlinearProblem,
  method: NonlinearMethod,
  parameters: Model['parameters'],
): Float64Array | undefined {
  try {
    switch (problem.operation.kind) {
      case 'softmax':
        return softmaxValues(problem, problem.operation, problem.quantizer as SoftmaxQuantizer, method);
      case 'gelu':
        return geluValues(problem, integersOf(problem.quantizer as GeluQuantizer), method);
      case 'layerNorm':
        return normValues(
          problem,
          problem.operation,
          problem.quantizer as UniformQuantizer,
          method,
          gainOf(problem.operation, parameters),
        );
    }
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function softmaxValues(
  { input, range, windows = 1, masked }: NonlinearProblem,
  operation: SoftmaxOperation,
  quantizer: SoftmaxQuantizer,
  method: NonlinearMethod,
): Float64Array {
  const { columns, numbers } = input;
  const { logitBits, scale, constants } = softmaxForm(method, range, columns);
  const logits = codesOf(input.values, scale / operation.scale, logitBits);
  const heads = steps(quantizer).length;
  const rescales = probabilityRescales(quantizer, heads);
  const rowsOfWindow = operation.rows / windows;
  const { bits } = quantizer;
  const threshold = quantizer.type === 'twin-softmax' ? twinThreshold(quantizer.shift, bits, quantizer.boundary) : NaN;
  return byRow(logits, columns, (row, i) => {
    const number = numbers?.[i] ?? i;
    const head = Math.floor(((number % rowsOfWindow) * heads) / rowsOfWindow);
    const step = steps(quantizer)[head] as number;
    const seen = masked ? row.map((logit, column) => (isMasked(masked, number, column) ? -Infinity : logit)) : row;
    const probabilities = intSoftmaxRow(seen, constants);
    return probabilities.map((p) => step * softmaxInteger(p, quantizer, threshold, rescales?.[head]));
  });
}

/** The integer of the code of a probability in units of 2^-24. */
function softmaxInteger(
  probability: number,
  quantizer: SoftmaxQuantizer,
  threshold: number,
  rescale: Dyadic | undefined,
): number {
  if (quantizer.type !== 'twin-softmax') {
    return nearestCode(probability, rescale as Dyadic, nonlinearCodesOf(quantizer), quantizer.bits);
  }
  const { bits, shift } = quantizer;
  const code = twinSoftmaxCode(probability, bits, shift, threshold);
  return decodeCode(code, { kind: 'twin-softmax', bits, shift });
}

function geluValues({ input, range }: NonlinearProblem, quantizer: GeluQuantizer, method: NonlinearMethod) {
  const { columns } = input;
  const { inputBits, scale, constants } = geluForm(method, range, quantizer);
  const inputs = codesOf(input.values, scale, inputBits);
  const step = steps(quantizer)[0] as number;
  const results =
    constants.method === 'shift'
      ? byRow(inputs, columns, (row) => shiftGeluRow(Array.from(row), constants.unit))
      : inputs.map((x) => intGelu(x, constants as Parameters<typeof intGelu>[1]));
  const rescale = constants as GeluRescale;
  return results.map((y) => step * geluInteger(y, quantizer, rescale));
}

/** The integer of the code of a result of GELU. */
function geluInteger(y: number, quantizer: GeluQuantizer, { multiplier, multiplierShift }: GeluRescale): number {
  const { bits } = quantizer;
  if (quantizer.type !== 'twin-gelu') {
    return nearestCode(y, { multiplier, shift: multiplierShift }, nonlinearCodesOf(quantizer), bits);
  }
  const { shift } = quantizer;
  const code = twinGeluCode(y, { bits, shift, multiplier, multiplierShift });
  return decodeCode(code, { kind: 'twin-gelu', bits, shift });
}

function nonlinearCodesOf(quantizer: UniformQuantizer | LevelsQuantizer): NonlinearCodes {
  return quantizer.type === 'levels' ? { kind: 'levels', levels: quantizer.levels } : { kind: 'uniform' };
}

/** Rows of queries or keys are of one head after the other, each with the scale of its head. */
function normValues(
  { input, range }: NonlinearProblem,
  { features, epsilon }: LayerNormOperation,
  quantizer: UniformQuantizer,
  method: NonlinearMethod,
  { gamma, beta }: { readonly gamma: Float32Array; readonly beta: Float32Array },
): Float64Array {
  const q = 2 ** (quantizer.bits - 1);
  const xScale = stepFor(RANGE_MARGIN * range, 16);
  const form = layerNormForm(method);
  const { scales, zeroPoint = 0 } = quantizer;
  const heads = scales.map((yScale) => {
    const moved = beta.map((value) => value + zeroPoint * yScale);
    return { yScale, ...layerNormConstants(form, { gamma, beta: moved, epsilon, xScale, yScale }) };
  });
  return byRow(codesOf(input.values, xScale, 16), features, (row, i) => {
    const { yScale, ...constants } = heads[(input.numbers?.[i] ?? i) % heads.length] as (typeof heads)[number];
    const shape = { features, form, epsilon: constants.epsilon, qmin: -q, qmax: q - 1 };
    const codes = intLayerNormReference(Int16Array.from(row), constants, shape);
    return Float64Array.from(codes, (code) => yScale * (code - zeroPoint));
  });
}

/** Signed codes of `bits` as the rescale of an accumulator gives them: halves up, saturated. */
function codesOf(values: Float32Array, scale: number, bits: number): Float64Array {
  const q = 2 ** (bits - 1);
  return Float64Array.from(values, (x) => Math.max(-q, Math.min(Math.floor(x / scale + 0.5), q - 1)));
}

function gainOf({ name }: LayerNormOperation, parameters: Model['parameters']) {
  const values = (parameter: string): Float32Array => {
    const found = parameters.get(`${name}.${parameter}`);
    if (!found) throw new Error(`the model has no parameter ${name}.${parameter}`);
    return found.values;
  };
  return { gamma: values('weight'), beta: values('bias') };
}

function byRow(
  values: ArrayLike<number>,
  columns: number,
  map: (row: Float64Array, index: number) => ArrayLike<number>,
): Float64Array {
  const rows = Float64Array.from(values);
  for (let first = 0; first < rows.length; first += columns) {
    rows.set(map(rows.subarray(first, first + columns), first / columns), first);
  }
  return rows;
}
