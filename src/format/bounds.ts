import type { IntegerCodes } from './program.ts';

/** Least and largest integer that a code stands for (PTQ4ViT, section 3.2: R2 is aligned to R1 by a shift). */
export function codeRange({ kind, bits, shift, levels }: IntegerCodes): readonly [least: number, largest: number] {
  if (levels) return [levels[0] ?? 0, levels.at(-1) ?? 0];
  const flag = 2 ** (bits - 1);
  if (kind === 'uniform') return [-flag, flag - 1];
  const magnitude = flag - 1;
  return [kind === 'twin-gelu' ? -magnitude : 0, magnitude * 2 ** shift];
}

/** What the accumulator of a product of two activations can reach, whatever its operands, of `depth` codes of a and of b each. */
export function largestProduct(
  a: IntegerCodes,
  b: IntegerCodes,
  depth: number,
  bias: readonly number[] | null,
): number {
  const [least, largest] = codeRange(a);
  const most = (bias ?? []).reduce((size, value) => Math.max(size, Math.abs(value)), 0);
  return Math.max(-least, largest) * depth * 2 ** (b.bits - 1) + most;
}

/**
 * What the accumulator of a linear operation can reach with these weights, whatever the input: over the output features the
 * largest |sum of input * weight| + |bias|. No partial sum in any order is larger, so that it must stay below 2^31.
 *
 * @param codes int8 `[outFeatures][inFeatures]`
 * @param bias i32 `[outFeatures]`
 * @returns the sum, exact below 2^53, and the first feature that can reach it
 */
export function largestSums(
  codes: Int8Array,
  outFeatures: number,
  inFeatures: number,
  input: IntegerCodes,
  bias: Int32Array | null,
): { readonly sum: number; readonly feature: number } {
  const [least, largest] = codeRange(input);
  let [sum, feature] = [-1, 0];
  for (let row = 0; row < outFeatures; row++) {
    let [positive, negative] = [0, 0]; // sums of the weights of a sign, both as magnitudes
    for (let at = row * inFeatures; at < (row + 1) * inFeatures; at++) {
      const code = codes[at] as number;
      if (code > 0) positive += code;
      else negative -= code;
    }
    const up = positive * largest - negative * least;
    const down = negative * largest - positive * least;
    const reach = Math.max(up, down) + Math.abs(bias?.[row] ?? 0);
    if (reach > sum) [sum, feature] = [reach, row];
  }
  return { sum, feature };
}
