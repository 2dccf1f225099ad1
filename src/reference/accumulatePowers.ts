/** Reference of `accumulate_powers.wgsl`, rounded to f32 after each power and each addition: `[count]`. */
export function accumulatePowersReference(sums: Float32Array, source: Float32Array, power: 1 | 2): Float32Array {
  const count = sums.length;
  return sums.map((start, i) => {
    let sum = start;
    for (let at = i; at < source.length; at += count) {
      const value = source[at] as number;
      sum = Math.fround(sum + Math.fround(power === 1 ? Math.abs(value) : value * value));
    }
    return sum;
  });
}
