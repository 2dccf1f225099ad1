/** Reference of `root_mean.wgsl` in double: `[repeats][count]`. */
export function rootMeanReference(sums: Float32Array, repeats: number, factor: number): Float64Array {
  const count = sums.length;
  return Float64Array.from({ length: repeats * count }, (_, i) => Math.sqrt((sums[i % count] as number) * factor));
}
