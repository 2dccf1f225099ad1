/** Reference of `add_f32.wgsl`: `(a + b) * scale`, rounded to f32 after each of the two operations. */
export function addF32Reference(a: Float32Array, b: Float32Array, scale: number): Float32Array {
  return a.map((v, i) => Math.fround(v + (b[i] as number)) * Math.fround(scale));
}
