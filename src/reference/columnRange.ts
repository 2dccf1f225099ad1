/** Reference of `column_range.wgsl`: `[groups][columns][min, max]` of `[groups][rows][columns]`. */
export function columnRangeReference(
  source: Float32Array,
  { groups, rows, columns }: { readonly groups: number; readonly rows: number; readonly columns: number },
): Float32Array<ArrayBuffer> {
  const ranges = new Float32Array(2 * groups * columns);
  for (let group = 0; group < groups; group++) {
    for (let column = 0; column < columns; column++) {
      const values = Array.from(
        { length: rows },
        (_, row) => source[(group * rows + row) * columns + column] as number,
      );
      ranges.set([Math.min(...values), Math.max(...values)], 2 * (group * columns + column));
    }
  }
  return ranges;
}
