import { checkIntegers } from './codes.ts';
import { dyadic } from './dyadic.ts';

/** `fixed`: exact mean, root of 30 bits; `published`: I-ViT's I-LayerNorm with its ten steps from 2^16. */
export type IntLayerNormForm = 'fixed' | 'published';

/** The integers of one LayerNorm; they go into the model file. */
export interface IntLayerNormConstants {
  readonly form: IntLayerNormForm;
  /** i32 `[features][2]`: signed multiplier, shift. */
  readonly gain: Int32Array<ArrayBuffer>;
  /** i32 `[features]`, in 2^-12 of a code (`fixed`) or in sqrt(features) 2^-30 (`published`). */
  readonly bias: Int32Array<ArrayBuffer>;
  /** epsilon in units of (scale of x / features)^2; 0 in the published form, which has none. Below 2^53. */
  readonly epsilon: number;
}

/** Most features that the accumulators of `int_layer_norm` hold. */
export const MOST_NORM_FEATURES = 4096;
/** A bias of the `fixed` form is smaller. */
export const FIXED_BIAS_LIMIT = 2 ** 29;
/** Largest bias of the `published` form. */
export const PUBLISHED_BIAS_LIMIT = 2 ** 30 - 1;

/**
 * The integers of `LayerNorm(x) = (x - mean) / sqrt(variance + epsilon) * gamma + beta`, x in units of `xScale` and codes in units
 * of `yScale`. A gamma near 0 keeps its beta in the `fixed` form; the published one, whose bias is beta / gamma, cuts it to 2^30.
 *
 * @throws RangeError on a bad size or scale, a bias or gain past the fixed point (with the feature) or an epsilon past 2^53
 */
export function layerNormConstants(
  form: IntLayerNormForm,
  values: {
    readonly gamma: ArrayLike<number>;
    readonly beta: ArrayLike<number>;
    readonly epsilon: number;
    readonly xScale: number;
    readonly yScale: number;
  },
): IntLayerNormConstants {
  const { gamma, beta, xScale, yScale } = values;
  const features = gamma.length;
  checkFeatures(features);
  if (beta.length !== features) throw new RangeError(`${features} gammas, but ${beta.length} betas`);
  for (const [name, scale] of Object.entries({ xScale, yScale })) {
    if (!(scale > 0 && scale < Infinity)) throw new RangeError(`${name} must be positive and finite, got ${scale}`);
  }
  const unit = form === 'fixed' ? 2 ** -12 : Math.sqrt(features) / 2 ** 30;
  const gain = new Int32Array(2 * features);
  const bias = new Int32Array(features);
  for (let i = 0; i < features; i++) {
    const [g, b] = [gamma[i] as number, beta[i] as number];
    gain.set(signedDyadic(form === 'fixed' ? (g / yScale) * unit : (g * unit) / yScale), 2 * i);
    bias[i] = form === 'fixed' ? fixedBias(b / yScale / unit, i) : publishedBias(b / g / unit);
  }
  const epsilon = form === 'fixed' ? Math.round(values.epsilon * (features / xScale) ** 2) : 0;
  if (!(epsilon >= 0 && epsilon < 2 ** 53)) {
    throw new RangeError(`epsilon ${values.epsilon} is ${epsilon} at a scale of ${xScale}; it must be in 0..2^53`);
  }
  return { form, gain, bias, epsilon };
}

export function checkFeatures(features: number): void {
  checkIntegers({ features }, 1);
  if (features > MOST_NORM_FEATURES) {
    throw new RangeError(`${features} features can overflow the sums of a LayerNorm; at most ${MOST_NORM_FEATURES}`);
  }
}

/** Multiplier with the sign of the ratio, and shift; below 2^-32 the multiplier has fewer bits, at 2^-63 none. */
function signedDyadic(ratio: number): [number, number] {
  const size = Math.abs(ratio);
  if (size < 2 ** -32) return [Math.sign(ratio) * Math.round(size * 2 ** 62), 62];
  const { multiplier, shift } = dyadic(size, 16);
  return [Math.sign(ratio) * multiplier, shift];
}

function fixedBias(value: number, feature: number): number {
  const bias = Math.round(value);
  if (!(Math.abs(bias) < FIXED_BIAS_LIMIT)) {
    throw new RangeError(`feature ${feature}: a bias of ${value / 2 ** 12} codes; it must be below ${2 ** 17}`);
  }
  return bias;
}

function publishedBias(value: number): number {
  if (Number.isNaN(value)) return 0; // beta and gamma are 0
  return Math.min(Math.max(Math.floor(value), -PUBLISHED_BIAS_LIMIT), PUBLISHED_BIAS_LIMIT);
}
