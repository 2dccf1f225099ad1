/** What brings 8-bit pixels to the input of the network: `(value * rescale - mean) / std`; `mean` and `std` one a channel. */
export interface Normalization {
  readonly rescale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Weight and bias of the patch embedding over pixel codes `value - 128` instead of normalised pixels. */
export interface PixelWeight {
  /** f32 `[embedDim, 3 * patch * patch]` */
  readonly weight: Float32Array;
  /** f32 `[embedDim]` */
  readonly bias: Float32Array;
}

/**
 * Folds the normalisation into the patch embedding: `W' = W rescale / std_c`, `b' = b + sum W' (128 - mean_c / rescale)`, so
 * that its operand is the exact 8-bit pixel (METHOD: patch embedding). Formed in double, rounded to f32 once.
 */
export function foldPixels(
  weight: Float32Array,
  bias: Float32Array | undefined,
  outFeatures: number,
  { rescale, mean, std }: Normalization,
): PixelWeight {
  const levels = 1 / rescale;
  const channels = mean.length;
  const inFeatures = weight.length / outFeatures;
  const perChannel = inFeatures / channels;
  const folded = new Float32Array(weight.length);
  const foldedBias = new Float32Array(outFeatures);
  for (let out = 0; out < outFeatures; out++) {
    let sum = bias?.[out] ?? 0;
    for (let i = 0; i < inFeatures; i++) {
      const channel = Math.floor(i / perChannel);
      const scaled = (weight[out * inFeatures + i] as number) / (levels * (std[channel] as number));
      folded[out * inFeatures + i] = scaled;
      sum += scaled * (128 - levels * (mean[channel] as number));
    }
    foldedBias[out] = sum;
  }
  return { weight: folded, bias: foldedBias };
}

/** The way back: weight and bias over normalised pixels. */
export function unfoldPixels({ weight, bias }: PixelWeight, { rescale, mean, std }: Normalization): PixelWeight {
  const levels = 1 / rescale;
  const inFeatures = weight.length / bias.length;
  const channelOf = (i: number) => Math.floor(((i % inFeatures) * mean.length) / inFeatures);
  const sums = Float64Array.from(bias);
  weight.forEach((value, i) => {
    const out = Math.floor(i / inFeatures);
    sums[out] = (sums[out] as number) - value * (128 - levels * (mean[channelOf(i)] as number));
  });
  return {
    weight: weight.map((value, i) => value * levels * (std[channelOf(i)] as number)),
    bias: Float32Array.from(sums),
  };
}
