/**
 * Reference of `column_sums_f32.wgsl` in double: `[images][columns]`, sums over the rows of weight times value, and the sums of their
 * magnitudes, in whose units its error bound is.
 */
export function columnSumsReference(
  source: Float32Array,
  weights: Float32Array,
  { images, rows, columns }: { readonly images: number; readonly rows: number; readonly columns: number },
): { readonly sums: Float64Array; readonly magnitudes: Float64Array } {
  const sums = new Float64Array(images * columns);
  const magnitudes = new Float64Array(images * columns);
  for (let line = 0; line < images * rows; line++) {
    for (let column = 0; column < columns; column++) {
      const at = Math.floor(line / rows) * columns + column;
      const term = (weights[line] as number) * (source[line * columns + column] as number);
      sums[at] = (sums[at] as number) + term;
      magnitudes[at] = (magnitudes[at] as number) + Math.abs(term);
    }
  }
  return { sums, magnitudes };
}
