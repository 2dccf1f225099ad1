import { dyadic, leastRatio, ratioBound } from '../kernels/dyadic.ts';
import { largestSums } from '../format/bounds.ts';
import type { IntegerCodes } from '../format/program.ts';
import type { LinearParameters } from '../format/model.ts';

/** A quantized linear layer with a float bias, before its integers are made. */
export interface LinearToExport {
  /** `[outFeatures][inFeatures]` */
  readonly codes: Int8Array;
  /** Step of each output feature. */
  readonly scales: readonly number[];
  readonly bias: ArrayLike<number> | null;
  readonly inFeatures: number;
  /** What the input's codes mean, and their real step. */
  readonly input: IntegerCodes;
  readonly inputStep: number;
  /** Code of the input's value 0. Default 0. */
  readonly inputZero?: number;
  /** Real step of each output feature's integers, and the form of their rescale. */
  readonly outputSteps: readonly number[];
  readonly form: 8 | 'int16';
}

/** Ratio that a feature without weights gets: its bias is then exact to 2^-17 of an output step. */
const BIAS_ONLY_RATIO = 2 ** -16;

/**
 * Integers of a linear layer: bias in units of the accumulator, a dyadic rescale per feature. No sum can pass int32: the bound of
 * a feature is that of `largestSums`. A feature whose step is so small that its bias or its rescale passes
 * the integers gets a coarser step, the codes rounded to it (its weights are then far below the bias). One of so few bits that a unit
 * of its accumulator is too much of an output code for its rescale gets a finer step, its codes doubled: the same products, in codes of
 * more bits.
 *
 * @throws RangeError naming the feature, when even that does not help
 */
export function integerLinear(linear: LinearToExport): LinearParameters {
  const { inFeatures, inputStep, inputZero = 0, outputSteps, form } = linear;
  const outFeatures = outputSteps.length;
  const codes = Int8Array.from(linear.codes);
  const scales = Float32Array.from(linear.scales);
  const bias = linear.bias || inputZero !== 0 ? new Int32Array(outFeatures) : null;
  const multipliers = new Uint32Array(outFeatures);
  const shifts = new Uint8Array(outFeatures);
  for (let feature = 0; feature < outFeatures; feature++) {
    const row = codes.subarray(feature * inFeatures, (feature + 1) * inFeatures);
    const outputStep = outputSteps[feature] as number;
    const floatBias = linear.bias?.[feature] ?? 0;
    if (row.every((code) => code === 0)) scales[feature] = (BIAS_ONLY_RATIO * outputStep) / inputStep;
    for (;;) {
      const unit = inputStep * (scales[feature] as number);
      const shift = Math.round(floatBias / unit) - inputZero * row.reduce((sum, code) => sum + code, 0);
      const bound = largestSums(row, 1, inFeatures, linear.input, null).sum + Math.abs(shift);
      const steep = unit / outputStep >= ratioBound(form);
      if (steep && 2 * bound < 2 ** 31 && row.every((code) => 2 * code >= -128 && 2 * code <= 127)) {
        row.forEach((code, i) => (row[i] = 2 * code));
        scales[feature] = (scales[feature] as number) / 2;
        continue;
      }
      if (bound < 2 ** 31 && unit / outputStep >= leastRatio(form)) {
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

/** Bits that hold every code, at least `bits`. */
export function widthOf(codes: Int8Array, bits: number): number {
  const [least, most] = codes.reduce(([low, high], code) => [Math.min(low, code), Math.max(high, code)], [0, 0]);
  let width = bits;
  while (least < -(2 ** (width - 1)) || most >= 2 ** (width - 1)) width++;
  return width;
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
