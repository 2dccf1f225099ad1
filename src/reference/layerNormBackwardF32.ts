import { rowMoments } from './layerNormF32.ts';

/** Reference of `layer_norm_backward_f32.wgsl` in double: gradient of layer normalisation with respect to its input. */
export function layerNormBackwardF32Reference(
  x: Float32Array,
  gain: Float32Array,
  dy: Float32Array,
  epsilon: number,
): Float32Array {
  const features = gain.length;
  const dx = new Float32Array(x.length);
  for (let first = 0; first < x.length; first += features) {
    const { mean, scale } = rowMoments(x.subarray(first, first + features), epsilon);
    const normal = Array.from({ length: features }, (_, i) => ((x[first + i] as number) - mean) * scale);
    const g = Array.from({ length: features }, (_, i) => (dy[first + i] as number) * (gain[i] as number));
    const meanG = g.reduce((sum, v) => sum + v, 0) / features;
    const meanGx = g.reduce((sum, v, i) => sum + v * (normal[i] as number), 0) / features;
    g.forEach((v, i) => (dx[first + i] = (v - meanG - (normal[i] as number) * meanGx) * scale));
  }
  return dx;
}
