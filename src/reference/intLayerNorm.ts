import { clamp, dyadicRescale16, integerRoot } from './fixedPoint.ts';

export interface IntLayerNormShape {
  readonly features: number;
  readonly form: 'fixed' | 'published';
  readonly epsilon: number;
  readonly qmin?: number;
  readonly qmax?: number;
  /** Consecutive rows with gains and biases of their own. Default 1. */
  readonly heads?: number;
}

/** Reference of `int_layer_norm.wgsl` on dense rows; codes, or 16-bit integers, `[rows][features]`. */
export function intLayerNormReference(
  x: Int16Array,
  { gain, bias }: { readonly gain: Int32Array; readonly bias: Int32Array },
  { features, form, epsilon, qmin = -128, qmax = 127, heads = 1 }: IntLayerNormShape,
): Int16Array<ArrayBuffer> {
  const codes = new Int16Array(x.length);
  for (let first = 0; first < x.length; first += features) {
    const row = x.subarray(first, first + features);
    const own = first % (heads * features); // of the head
    const normalised = form === 'fixed' ? exact(row, epsilon) : published(row);
    for (let i = 0; i < features; i++) {
      const [multiplier, shift] = [gain[2 * (own + i)] as number, gain[2 * (own + i) + 1] as number];
      const scaled = (n: number) => dyadicRescale16(Math.sign(multiplier) * n, Math.abs(multiplier), shift);
      const [n, b] = [normalised[i] as number, bias[own + i] as number];
      const limit = 2 ** 29;
      const y =
        form === 'fixed'
          ? Math.floor((clamp(scaled(n), -limit, limit) + clamp(b, -limit, limit)) / 2 ** 12 + 0.5)
          : scaled(n + clamp(b, -(2 ** 30 - 1), 2 ** 30 - 1));
      codes[first + i] = clamp(y, qmin, qmax);
    }
  }
  return codes;
}

/** (x - mean) / deviation in units of 2^-24: the mean exact, the root and its reciprocal of 30 and 31 bits. */
function exact(row: Int16Array, epsilon: number): number[] {
  const count = row.length;
  const sum = row.reduce((total, x) => total + x, 0);
  const squares = row.reduce((total, x) => total + x * x, 0); // <= 2^42
  const variance = BigInt(count) * BigInt(squares) - BigInt(sum) ** 2n + BigInt(epsilon) || 1n;
  const places = Math.floor((60 - variance.toString(2).length) / 2);
  const root = integerRoot(variance << BigInt(2 * places));
  const reciprocal = Math.min(Number(2n ** 60n / root), 2 ** 31 - 1);
  return Array.from(row, (x) => dyadicRescale16(count * x - sum, reciprocal, 36 - places));
}

/** The same in units of sqrt(count) 2^-30 by I-ViT's code (`IntLayerNorm.forward`), on integers. */
function published(row: Int16Array): number[] {
  const count = row.length;
  const mean = Math.floor(row.reduce((total, x) => total + x, 0) / count + 0.5);
  const squares = row.reduce((total, x) => total + (x - mean) ** 2, 0);
  let root = 2 ** 16;
  for (let step = 0; step < 10; step++) root = Math.floor((root + Math.floor(squares / root)) / 2);
  const factor = Math.floor((2 ** 31 - 1) / root);
  return Array.from(row, (x) => Math.floor(((x - mean) * factor) / 2));
}
