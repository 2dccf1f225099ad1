/** Weight and bias of the patch embedding over pixel codes `value - 128` instead of normalised pixels. */
export interface PixelWeight {
  /** f32 `[embedDim, 3 * patch * patch]` */
  readonly weight: Float32Array;
  /** f32 `[embedDim]` */
  readonly bias: Float32Array;
}

/**
 * Folds the normalisation into the patch embedding: `W' = W / (255 std_c)`, `b' = b + sum W' (128 - 255 mean_c)`, so that its
 * operand is the exact 8-bit pixel (METHOD: patch embedding). Formed in double, rounded to f32 once.
 */
export function foldPixels(
  weight: Float32Array,
  bias: Float32Array | undefined,
  outFeatures: number,
  { mean, std }: { readonly mean: readonly number[]; readonly std: readonly number[] },
): PixelWeight {
  const channels = mean.length;
  const inFeatures = weight.length / outFeatures;
  const perChannel = inFeatures / channels;
  const folded = new Float32Array(weight.length);
  const foldedBias = new Float32Array(outFeatures);
  for (let out = 0; out < outFeatures; out++) {
    let sum = bias?.[out] ?? 0;
    for (let i = 0; i < inFeatures; i++) {
      const channel = Math.floor(i / perChannel);
      const scaled = (weight[out * inFeatures + i] as number) / (255 * (std[channel] as number));
      folded[out * inFeatures + i] = scaled;
      sum += scaled * (128 - 255 * (mean[channel] as number));
    }
    foldedBias[out] = sum;
  }
  return { weight: folded, bias: foldedBias };
}
