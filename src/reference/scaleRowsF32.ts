/** Reference of `scale_rows_f32.wgsl`: f32 `[rows][columns]`, every row times its factor, bit for bit. */
export function scaleRowsReference(
  source: Float32Array,
  factors: Float32Array,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): Float32Array {
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    return (source[i] as number) * (factors[Math.floor(i / columns)] as number);
  });
}
