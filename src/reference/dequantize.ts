/** Reference of `dequantize.wgsl` on dense integers `[rows][columns]`: one f32 rounding of the integer, one of the product. */
export function dequantizeReference(
  values: ArrayLike<number>,
  scales: Float32Array,
  { columns, rowsPerHead }: { readonly columns: number; readonly rowsPerHead: number },
): Float32Array<ArrayBuffer> {
  return Float32Array.from(values, (value, i) => {
    const head = Math.floor(i / (columns * rowsPerHead)) % scales.length;
    return Math.fround(value) * (scales[head] as number); // exact in double, then rounded once
  });
}
