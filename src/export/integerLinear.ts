import { dyadic } from '../kernels/dyadic.ts';
import type { IntegerCodes } from '../format/program.ts';
import type { LinearParameters } from '../format/model.ts';

/** A quantized linear layer with a float bias, before its integers are made. */
export interface LinearToExport {
  /** `[outFeatures][inFeatures]` */
  readonly codes: Int8Array;
  /** Step of each output feature. */
  readonly scales: readonly number[];
  readonly bias: Float32Array | null;
  readonly inFeatures: number;
  /** What the input's codes mean, and their real step. */
  readonly input: IntegerCodes;
  readonly inputStep: number;
  /** Real step of each output feature's integers, and the form of their rescale. */
  readonly outputSteps: readonly number[];
  readonly form: 8 | 'int16';
}

/** Least ratio of `dyadic` that a coarser weight is looked for, with room for a multiplier of full length. */
const LEAST_RATIO = 2 ** -32;
/** Ratio that a feature without weights gets: its bias is then exact to 2^-17 of an output step. */
const BIAS_ONLY_RATIO = 2 ** -16;

/**
 * Integers of a linear layer: bias in units of the accumulator, a dyadic rescale per feature. No sum can pass int32: the bound of
 * a feature is `largest input code * sum |w| + |bias|`. A feature whose step is so small that its bias or its rescale passes
 * the integers gets a coarser step, the codes rounded to it (its weights are then far below the bias).
 *
 * @throws RangeError naming the feature, when even that does not help
 */
export function integerLinear(linear: LinearToExport): LinearParameters {
  const { inFeatures, inputStep, outputSteps, form } = linear;
  const outFeatures = outputSteps.length;
  const codes = Int8Array.from(linear.codes);
  const scales = Float32Array.from(linear.scales);
  const bias = linear.bias ? new Int32Array(outFeatures) : null;
  const multipliers = new Uint32Array(outFeatures);
  const shifts = new Uint8Array(outFeatures);
  const largestCode = largestMagnitude(linear.input);
  for (let feature = 0; feature < outFeatures; feature++) {
    const row = codes.subarray(feature * inFeatures, (feature + 1) * inFeatures);
    const outputStep = outputSteps[feature] as number;
    const floatBias = linear.bias?.[feature] ?? 0;
    if (row.every((code) => code === 0)) scales[feature] = (BIAS_ONLY_RATIO * outputStep) / inputStep;
    for (;;) {
      const unit = inputStep * (scales[feature] as number);
      const shift = Math.round(floatBias / unit);
      const bound = largestCode * absoluteSum(row) + Math.abs(shift);
      if (bound < 2 ** 31 && unit / outputStep >= LEAST_RATIO) {
        if (bias) bias[feature] = shift;
        const rescale = rescaleOf(unit / outputStep, form, feature);
        multipliers[feature] = rescale.multiplier;
        shifts[feature] = rescale.shift;
        break;
      }
      if (row.every((code) => code === 0)) {
        throw new RangeError(
          `output feature ${feature}: a bias of ${floatBias} is ${shift} units of the accumulator, past 2^31`,
        );
      }
      row.forEach((code, i) => (row[i] = halfToEven(code)));
      scales[feature] = 2 * (scales[feature] as number);
    }
  }
  return { codes, scales, bias, multipliers, shifts };
}

/** Largest magnitude of the integer that a code stands for inside a product. */
export function largestMagnitude({ kind, bits, shift }: IntegerCodes): number {
  return kind === 'uniform' ? 2 ** (bits - 1) : (2 ** (bits - 1) - 1) * 2 ** shift;
}

function absoluteSum(row: Int8Array): number {
  return row.reduce((sum, code) => sum + Math.abs(code), 0);
}

/** code / 2, halves to even: every code reaches 0. */
function halfToEven(code: number): number {
  return code % 2 === 0 ? code / 2 : 2 * Math.round(code / 4);
}

function rescaleOf(ratio: number, form: 8 | 'int16', feature: number) {
  try {
    return dyadic(ratio, form);
  } catch (cause) {
    throw new RangeError(`output feature ${feature}: ${(cause as Error).message}`, { cause });
  }
}
