import type { ScoreView } from './scoreElementwise.ts';

/** Reference of `gather_rows.wgsl`: the words `[images][heads][rows][columns]` that it writes. */
export function gatherRowsReference(
  source: Uint32Array,
  indices: ArrayLike<number>,
  shape: { images: number; heads: number; rows: number; columns: number; view: ScoreView },
): Uint32Array {
  const { images, heads, rows, columns, view } = shape;
  const words: number[] = [];
  for (let image = 0; image < images; image++) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const wanted = indices[image * rows + row] as number;
        const first = view.offset + image * view.imageStride + head * view.headStride + wanted * view.rowStride;
        for (let column = 0; column < columns; column++) words.push(source[first + column] as number);
      }
    }
  }
  return Uint32Array.from(words);
}
