/** Reference of `softmax_backward_f32.wgsl` in double: `scale * y * (dy - sum(dy * y))` over each row of `columns`. */
export function softmaxBackwardF32Reference(
  y: Float32Array,
  dy: Float32Array,
  columns: number,
  scale: number,
): Float32Array {
  const dx = new Float32Array(y.length);
  for (let first = 0; first < y.length; first += columns) {
    let inner = 0;
    for (let i = first; i < first + columns; i++) inner += (dy[i] as number) * (y[i] as number);
    for (let i = first; i < first + columns; i++) dx[i] = scale * (y[i] as number) * ((dy[i] as number) - inner);
  }
  return dx;
}
