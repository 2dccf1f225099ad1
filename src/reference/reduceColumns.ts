/** Reference of `reduce_columns.wgsl` in double: `[rows][parts]` sums of equal parts of the columns. */
export function reduceColumnsReference(source: Float32Array, columns: number, parts: number): Float64Array {
  const width = columns / parts;
  const sums = new Float64Array((source.length / columns) * parts);
  source.forEach((value, i) => {
    const at = Math.floor(i / width);
    sums[at] = (sums[at] as number) + value;
  });
  return sums;
}
