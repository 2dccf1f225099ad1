/** Reference of `softmax_f32.wgsl` in double: `softmax(scale * x)` over each row of `columns`. */
export function softmaxF32Reference(x: Float32Array, columns: number, scale: number): Float32Array {
  const y = new Float32Array(x.length);
  for (let first = 0; first < x.length; first += columns) {
    const scaled = Array.from(x.subarray(first, first + columns), (v) => v * scale);
    const largest = scaled.reduce((m, v) => Math.max(m, v));
    const exps = scaled.map((v) => Math.exp(v - largest));
    const sum = exps.reduce((s, v) => s + v, 0);
    exps.forEach((e, i) => (y[first + i] = e / sum));
  }
  return y;
}
