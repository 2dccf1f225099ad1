import { philox2x32 } from './random.ts';

/** What a draw depends on: never on the adapter, the chunk or the order of the images. */
export interface DrawKey {
  readonly seed: number;
  /** Lowercase hexadecimal SHA-256 of the image file. */
  readonly imageSha256: string;
}

/**
 * The `fisher` gradient seed of one image: `softmax(z) - onehot(c)` with c drawn from softmax(z). The mean of its outer product
 * is the Gauss-Newton matrix of the KL divergence at the logits, so that squared gradients estimate its diagonal without bias.
 * The published code back-propagates KL(p || p) instead, whose gradient is zero up to rounding.
 *
 * @param logits f32 `[numClasses]`
 * @returns f32 `[numClasses]`
 */
export function fisherSeed(logits: Float32Array, key: DrawKey): Float32Array {
  const probabilities = softmax(logits);
  const drawn = drawClass(probabilities, key);
  return Float32Array.from(probabilities, (p, i) => (i === drawn ? p - 1 : p));
}

/** Softmax in double precision. */
export function softmax(logits: Float32Array): Float64Array {
  let largest = -Infinity;
  for (const z of logits) largest = Math.max(largest, z);
  const exponentials = Float64Array.from(logits, (z) => Math.exp(z - largest));
  const sum = exponentials.reduce((total, e) => total + e, 0);
  return exponentials.map((e) => e / sum);
}

/**
 * Draws a class against probabilities rounded to multiples of 2^-16, so that adapters whose float logits differ in the last
 * bits still draw the same class.
 */
function drawClass(probabilities: Float64Array, { seed, imageSha256 }: DrawKey): number {
  const weights = probabilities.map((p) => Math.round(p * 65536));
  const total = weights.reduce((sum, w) => sum + w, 0);
  const counter: [number, number] = [parseInt(imageSha256.slice(0, 8), 16), parseInt(imageSha256.slice(8, 16), 16)];
  const [word] = philox2x32(counter, seed);
  let rest = Math.floor((word / 2 ** 32) * total);
  for (let i = 0; i < weights.length; i++) {
    rest -= weights[i] as number;
    if (rest < 0) return i;
  }
  throw new Error(`no class to draw: ${probabilities.length} probabilities round to nothing`);
}
