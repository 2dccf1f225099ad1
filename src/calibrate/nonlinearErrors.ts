import { layerNormConstants } from '../kernels/layerNormConstants.ts';
import { twinThreshold } from '../kernels/softmaxConstants.ts';
import type { GeluOperation, LayerNormOperation, SoftmaxOperation } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { geluForm, layerNormForm, RANGE_MARGIN, softmaxForm, stepFor } from '../quantize/nonlinear.ts';
import {
  steps,
  type ActivationQuantizer,
  type TwinGeluQuantizer,
  type TwinSoftmaxQuantizer,
  type UniformQuantizer,
} from '../quantize/quantizer.ts';
import { decodeCode, unpackRowMajor } from '../reference/codes.ts';
import { erfReference } from '../reference/geluF32.ts';
import { twinSoftmaxCode } from '../reference/intExp.ts';
import { intGeluReference } from '../reference/intGelu.ts';
import { intLayerNormReference } from '../reference/intLayerNorm.ts';
import { intSoftmaxRow } from '../reference/intSoftmax.ts';
import { shiftGeluReference } from '../reference/shiftGelu.ts';
import type { NonlinearMethod } from './recipe.ts';

/** Input rows of a nonlinear operation, f32 `[rows][columns]`. */
export interface InputRows {
  readonly columns: number;
  readonly values: Float32Array;
}

export interface NonlinearProblem {
  readonly operation: SoftmaxOperation | GeluOperation | LayerNormOperation;
  readonly input: InputRows;
  /** Largest magnitude that the input may take: of softmax times its scale. */
  readonly range: number;
  /** Of the codes that the operation writes; twin after softmax and GELU, one scale after LayerNorm. */
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
        return softmaxValues(problem, problem.operation, problem.quantizer as TwinSoftmaxQuantizer, method);
      case 'gelu':
        return geluValues(problem, problem.quantizer as TwinGeluQuantizer, method);
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
  { input, range }: NonlinearProblem,
  operation: SoftmaxOperation,
  quantizer: TwinSoftmaxQuantizer,
  method: NonlinearMethod,
): Float64Array {
  const { bits, shift, boundary } = quantizer;
  const { logitBits, scale, constants } = softmaxForm(method, range, input.columns);
  const logits = codesOf(input.values, scale / operation.scale, logitBits);
  const threshold = twinThreshold(shift, bits, boundary);
  const step = steps(quantizer)[0] as number;
  return byRow(logits, input.columns, (row) =>
    Float64Array.from(intSoftmaxRow(row, constants), (probability) => {
      const code = twinSoftmaxCode(probability, bits, shift, threshold);
      return step * decodeCode(code, { kind: 'twin-softmax', bits, shift });
    }),
  );
}

function geluValues({ input, range }: NonlinearProblem, quantizer: TwinGeluQuantizer, method: NonlinearMethod) {
  const { columns } = input;
  const { bits, shift } = quantizer;
  const { inputBits, scale, constants } = geluForm(method, range, quantizer);
  const codes = codesOf(input.values, scale, inputBits);
  const packed =
    constants.method === 'shift'
      ? shiftGeluReference(codes, { ...constants, columns, bits, shift })
      : intGeluReference(codes, { columns, bits, shift, constants });
  const step = steps(quantizer)[0] as number;
  const bytes = unpackRowMajor(packed, codes.length / columns, columns);
  return Float64Array.from(bytes, (byte) => step * decodeCode(byte & 0xff, { kind: 'twin-gelu', bits, shift }));
}

function normValues(
  { input, range }: NonlinearProblem,
  { features, epsilon }: LayerNormOperation,
  quantizer: UniformQuantizer,
  method: NonlinearMethod,
  { gamma, beta }: { readonly gamma: Float32Array; readonly beta: Float32Array },
): Float64Array {
  const q = 2 ** (quantizer.bits - 1);
  const xScale = stepFor(RANGE_MARGIN * range, 16);
  const yScale = quantizer.scales[0] as number;
  const form = layerNormForm(method);
  const constants = layerNormConstants(form, { gamma, beta, epsilon, xScale, yScale });
  const x = Int16Array.from(codesOf(input.values, xScale, 16));
  const shape = { features, form, epsilon: constants.epsilon, qmin: -q, qmax: q - 1 };
  return Float64Array.from(intLayerNormReference(x, constants, shape), (code) => yScale * code);
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
  map: (row: Float64Array) => ArrayLike<number>,
): Float64Array {
  const rows = Float64Array.from(values);
  for (let first = 0; first < rows.length; first += columns) {
    rows.set(map(rows.subarray(first, first + columns)), first);
  }
  return rows;
}
