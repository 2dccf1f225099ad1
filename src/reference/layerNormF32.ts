/** Mean and 1 / sqrt(variance + epsilon) of one row, the variance around the mean, divided by the count. */
export function rowMoments(row: Float32Array, epsilon: number): { mean: number; scale: number } {
  const mean = row.reduce((sum, v) => sum + v, 0) / row.length;
  const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
  return { mean, scale: 1 / Math.sqrt(variance + epsilon) };
}

/** Reference of `layer_norm_f32.wgsl` in double: `x` `[rows, features]`, `gain` and `shift` `[features]`. */
export function layerNormF32Reference(
  x: Float32Array,
  gain: Float32Array,
  shift: Float32Array,
  epsilon: number,
): Float32Array {
  const features = gain.length;
  const y = new Float32Array(x.length);
  for (let first = 0; first < x.length; first += features) {
    const row = x.subarray(first, first + features);
    const { mean, scale } = rowMoments(row, epsilon);
    row.forEach((v, i) => (y[first + i] = (v - mean) * scale * (gain[i] as number) + (shift[i] as number)));
  }
  return y;
}
