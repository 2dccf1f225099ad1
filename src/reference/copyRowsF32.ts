/** Reference of `copy_rows_f32.wgsl`. Writes into `destination`, the rest of it untouched. */
export function copyRowsF32Reference(
  source: Float32Array,
  destination: Float32Array,
  shape: {
    readonly images: number;
    readonly rows: number;
    readonly columns: number;
    readonly sourceOffset: number;
    readonly sourceOuter: number;
    readonly sourceRow: number;
    readonly targetOffset: number;
    readonly targetOuter: number;
    readonly targetRow: number;
  },
): void {
  for (let image = 0; image < shape.images; image++) {
    for (let row = 0; row < shape.rows; row++) {
      const from = shape.sourceOffset + image * shape.sourceOuter + row * shape.sourceRow;
      const to = shape.targetOffset + image * shape.targetOuter + row * shape.targetRow;
      destination.set(source.subarray(from, from + shape.columns), to);
    }
  }
}
