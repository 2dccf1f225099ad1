import type { ProductGeometry } from '../../quantize/geometry.ts';
import { multiplyAccumulates } from '../../quantize/geometry.ts';
import type { LayerOptions } from '../options.ts';

/** Work of a multiply-accumulate in units of a candidate's integer one, measured on software adapters; for progress only. */
const FLOAT_MAC = 3;
const HOST_MAC = 20;

/** What `compensateLayer` will cost for a linear layer, in multiply-accumulates of candidates over `images` images. */
export function compensationWork(
  geometry: ProductGeometry,
  { compensation, rounding, biasCorrection, weightBits }: LayerOptions,
  images: number,
): number {
  const { rows, depth, columns } = geometry;
  const compensated = compensation === 'none' ? 0 : 1;
  const refined = rounding === 'nearest' ? 0 : 1;
  const corrected = biasCorrection === 'none' ? 0 : 1;
  const scored = (1 + compensated + refined + corrected) * images * multiplyAccumulates(geometry);
  if (compensated + refined === 0) return scored;
  const grams = compensation === 'ridge-gptq' ? 2 : 1 / 2;
  const inputs = images * rows * depth ** 2 * (1 + grams * FLOAT_MAC);
  const factors = (1 + (compensation === 'ridge-gptq' ? 1 : 0)) * (depth ** 3 / 6);
  const scales = weightBits >= 8 ? 1 : weightBits >= 6 ? 2 : 5;
  const codes = depth ** 2 * columns * ((compensated * scales) / 2 + 2 * refined);
  return scored + inputs + HOST_MAC * (factors + codes);
}
