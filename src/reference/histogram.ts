import { viewElement, type ScoreView } from './scoreElementwise.ts';

export interface HistogramShape {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  readonly bins: number;
  readonly view: ScoreView;
}

/** Reference of `histogram.wgsl`: u32 `[heads][2 * bins]`, negative values by falling magnitude, then the others by rising. */
export function histogramReference(
  source: Float32Array,
  inverseWidths: Float32Array,
  { images, heads, rows, columns, bins, view }: HistogramShape,
): Uint32Array {
  const counts = new Uint32Array(heads * 2 * bins);
  for (let entry = 0; entry < images * heads; entry++) {
    const head = entry % heads;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const x = viewElement(source, view, heads, entry, row, column);
        const bin = Math.min(Math.floor(Math.fround(Math.abs(x) * (inverseWidths[head] as number))), bins - 1);
        const at = (2 * head + 1) * bins + (x < 0 ? -1 - bin : bin);
        counts[at] = (counts[at] as number) + 1;
      }
    }
  }
  return counts;
}
