import { FormatError } from '../io/errors.ts';
import { dyadicFault } from '../kernels/dyadic.ts';
import { FIXED_BIAS_LIMIT, PUBLISHED_BIAS_LIMIT } from '../kernels/layerNormConstants.ts';
import { largestSums } from './bounds.ts';
import type { IntegerModel, LinearParameters, NormParameters } from './model.ts';
import { linearClass } from './parameterTensors.ts';
import type { IntegerProgram, LayerNormOperation, LinearOperation } from './program.ts';
import { rescaleForm } from './operationCheck.ts';

/**
 * Throws unless the values of all parameters are in the ranges that the kernels are exact for, and no accumulator of a linear
 * operation can pass 32 bits with its weights and bias.
 *
 * @throws FormatError naming the file, the operation, the feature and the number seen
 */
export function validateParameters(
  { program, linear, norms }: Pick<IntegerModel, 'program' | 'linear' | 'norms'>,
  file: string,
): void {
  for (const operation of program.operations) {
    const refuse = (why: string): never => {
      throw new FormatError(`${file}: ${operation.kind} "${operation.name}": ${why}`);
    };
    if (operation.kind === 'linear') {
      const parameters = linear.get(operation.name) ?? refuse('it has no parameters');
      validateLinear(operation, parameters, program, refuse);
    } else if (operation.kind === 'layerNorm') {
      validateNorm(operation, norms.get(operation.name) ?? refuse('it has no parameters'), refuse);
    }
  }
}

type Refuse = (why: string) => never;

function validateLinear(
  operation: LinearOperation,
  { codes, scales, bias, multipliers, shifts }: LinearParameters,
  program: IntegerProgram,
  refuse: Refuse,
): void {
  const bad = scales.findIndex((scale) => !(scale > 0 && scale < Infinity));
  if (bad >= 0) refuse(`the weight scale of feature ${bad} is ${scales[bad]}, wanted a positive number`);
  const form = linearClass(operation, program);
  multipliers?.forEach((multiplier, feature) => {
    if (form === 'int32') return;
    const fault = dyadicFault({ multiplier, shift: shifts?.[feature] ?? 0 }, rescaleForm(form));
    if (fault !== undefined) refuse(`feature ${feature}: ${fault}`);
  });
  const { input, outFeatures, inFeatures } = operation;
  const inputCodes = program.tensors[input]?.codes ?? refuse(`its input "${input}" holds no codes`);
  const { sum, feature } = largestSums(codes, outFeatures, inFeatures, inputCodes, bias);
  if (sum >= 2 ** 31) {
    refuse(
      `feature ${feature} can reach ${sum} in a 32-bit accumulator, wanted below 2^31. Export with a smaller twin shift or fewer bits.`,
    );
  }
}

function validateNorm(
  { form }: LayerNormOperation,
  { multipliers, shifts, bias }: NormParameters,
  refuse: Refuse,
): void {
  const limit = form === 'fixed' ? FIXED_BIAS_LIMIT - 1 : PUBLISHED_BIAS_LIMIT;
  multipliers.forEach((multiplier, feature) => {
    if (multiplier === -(2 ** 31)) refuse(`feature ${feature}: multiplier ${multiplier}, wanted above -2^31`);
    const shift = shifts[feature] as number;
    if (shift < 1 || shift > 62) refuse(`feature ${feature}: shift ${shift}, wanted 1..62`);
    const offset = bias[feature] as number;
    if (Math.abs(offset) > limit) refuse(`feature ${feature}: bias ${offset}, wanted ${-limit}..${limit}`);
  });
}
