/** Reference of `attention_bias_f32.wgsl` in double precision. */
export function attentionBiasF32Reference(
  x: Float32Array,
  table: Float32Array,
  pairs: ArrayLike<number>,
  regions: ArrayLike<number> | null,
  shape: { windows: number; heads: number; tokens: number; scale: number },
): Float64Array {
  const { windows, heads, tokens, scale } = shape;
  const square = tokens ** 2;
  return Float64Array.from(x, (value, at) => {
    const [matrix, pair] = [Math.floor(at / square), at % square];
    const [i, j] = [Math.floor(pair / tokens), pair % tokens];
    const first = (Math.floor(matrix / heads) % windows) * tokens;
    const apart = regions !== null && regions[first + i] !== regions[first + j];
    const bias = table[(pairs[pair] as number) * heads + (matrix % heads)] as number;
    return scale * value + bias - (apart ? 100 : 0);
  });
}
