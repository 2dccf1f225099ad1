import type { NormParameters } from '../format/model.ts';
import type { IntLayerNormForm } from '../kernels/layerNormConstants.ts';

export interface RealLayerNorm {
  readonly gamma: Float64Array;
  readonly beta: Float64Array;
}

/**
 * Gamma and beta that the integers of a LayerNorm stand for: `layerNormConstants` undone. Each comes back within the rounding of
 * its integer: gamma within 2^-31 of itself, beta within 2^-13 of a code (`fixed`), or within sqrt(features) 2^-30 gamma unless
 * the published form has cut it at sqrt(features) gamma.
 *
 * @param yScale real step of the codes that it writes
 */
export function layerNormParameters(
  form: IntLayerNormForm,
  { multipliers, shifts, bias }: NormParameters,
  yScale: number,
): RealLayerNorm {
  const features = bias.length;
  const unit = form === 'fixed' ? 2 ** -12 : Math.sqrt(features) / 2 ** 30;
  const gamma = new Float64Array(features);
  const beta = new Float64Array(features);
  for (let i = 0; i < features; i++) {
    const ratio = (multipliers[i] as number) / 2 ** (shifts[i] as number);
    gamma[i] = (ratio * yScale) / unit;
    beta[i] = (bias[i] as number) * unit * (form === 'fixed' ? yScale : (gamma[i] as number));
  }
  return { gamma, beta };
}
