import { CalibrationError } from './errors.ts';
import type { GradientSeed } from './options.ts';
import { philox2x32 } from './random.ts';

/** What a draw depends on: never on the adapter, the chunk or the order of the images. */
export interface DrawKey {
  readonly seed: number;
  /** Which of the draws of an image, 0..3. */
  readonly draw?: number;
  /** Lowercase hexadecimal SHA-256 of the image file. */
  readonly imageSha256: string;
}

export interface SeedKey extends DrawKey {
  /** Name of the image, for errors. */
  readonly file: string;
  /** Class of the image, which the seed `label` needs. */
  readonly label?: number | undefined;
}

/** Most draws of an image: a draw takes two of the eight words of its hash. */
export const MOST_DRAWS = 4;

/** Seeds that differ from draw to draw. */
export function isDrawn(kind: GradientSeed): boolean {
  return kind === 'fisher' || kind === 'random-probe';
}

/**
 * The gradient at the logits z of one image that `hessian` propagates back, with p = softmax(z):
 * - `fisher`: `p - onehot(c)`, c drawn from p, see `fisherSeed`
 * - `pseudo-label`: `p - onehot(c)` with the likeliest c, the first of equals
 * - `label`: `p - onehot(label)`
 * - `random-probe`: p times independent standard normal numbers
 * - `perturbation`: `p (1 - p)`, the diagonal of the Hessian of the KL divergence, for layers of the last unit; before it see
 *   `perturbationGradient`
 *
 * @param logits f32 `[numClasses]`
 * @returns f32 `[numClasses]`
 * @throws CalibrationError naming the image when `label` has none or one that is no class
 */
export function gradientSeed(kind: GradientSeed, logits: Float32Array, key: SeedKey): Float32Array {
  if (kind === 'fisher') return fisherSeed(logits, key);
  const probabilities = softmax(logits);
  switch (kind) {
    case 'pseudo-label':
      return lessOneHot(probabilities, logits.indexOf(logits.reduce((most, z) => Math.max(most, z), -Infinity)));
    case 'label':
      return lessOneHot(probabilities, labelOf(key, logits.length));
    case 'random-probe':
      return normalNumbers(logits.length, key).map((n, i) => n * (probabilities[i] as number));
    case 'perturbation':
      return Float32Array.from(probabilities, (p) => p * (1 - p));
  }
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
  return lessOneHot(probabilities, drawClass(probabilities, key));
}

/** Softmax in double precision. */
export function softmax(logits: Float32Array): Float64Array {
  let largest = -Infinity;
  for (const z of logits) largest = Math.max(largest, z);
  const exponentials = Float64Array.from(logits, (z) => Math.exp(z - largest));
  const sum = exponentials.reduce((total, e) => total + e, 0);
  return exponentials.map((e) => e / sum);
}

function lessOneHot(probabilities: Float64Array, hot: number): Float32Array {
  return Float32Array.from(probabilities, (p, i) => (i === hot ? p - 1 : p));
}

function labelOf({ file, label }: SeedKey, classes: number): number {
  if (label === undefined) {
    throw new CalibrationError(`${file} has no label, which the gradient seed label needs; give labels, or use fisher`);
  }
  if (!Number.isInteger(label) || label < 0 || label >= classes) {
    throw new CalibrationError(`${file} has label ${label}, which is none of the ${classes} classes`);
  }
  return label;
}

/**
 * Draws a class against probabilities rounded to multiples of 2^-16, so that adapters whose float logits differ in the last
 * bits still draw the same class.
 */
function drawClass(probabilities: Float64Array, key: DrawKey): number {
  const weights = probabilities.map((p) => Math.round(p * 65536));
  const total = weights.reduce((sum, w) => sum + w, 0);
  let rest = Math.floor((drawWord(key) / 2 ** 32) * total);
  for (let i = 0; i < weights.length; i++) {
    rest -= weights[i] as number;
    if (rest < 0) return i;
  }
  throw new Error(`no class to draw: ${probabilities.length} probabilities round to nothing`);
}

/** 32 random bits of a draw: its two words of the image's hash are the counter. */
function drawWord({ seed, draw = 0, imageSha256 }: DrawKey): number {
  const word = (index: number) => parseInt(imageSha256.slice(8 * index, 8 * index + 8), 16);
  return philox2x32([word(2 * draw), word(2 * draw + 1)], seed)[0];
}

/**
 * Standard normal numbers by Box and Muller's formula in double precision, rounded to multiples of 2^-16: the last bits of a
 * machine's logarithm and cosine are not the same everywhere.
 */
function normalNumbers(count: number, key: DrawKey): Float32Array {
  const own = drawWord(key);
  return Float32Array.from({ length: count }, (_, i) => {
    const [first, second] = philox2x32([i >>> 1, 0], own);
    const radius = Math.sqrt(-2 * Math.log((first + 1) / 2 ** 32));
    const angle = (2 * Math.PI * second) / 2 ** 32;
    return Math.round(65536 * radius * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle))) / 65536;
  });
}

/** Independent signs, 1 or -1: the direction of a perturbation. */
export function randomSigns(count: number, key: DrawKey): Int8Array {
  const own = drawWord(key);
  const signs = new Int8Array(count);
  for (let first = 0; first < count; first += 32) {
    const [bits] = philox2x32([first >>> 5, 1], own);
    for (let i = first; i < Math.min(first + 32, count); i++) signs[i] = (bits >>> (i - first)) & 1 ? 1 : -1;
  }
  return signs;
}
