import { viewElement, type ScoreView } from './scoreElementwise.ts';

export interface RangeStatisticsShape {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  readonly view: ScoreView;
}

/** Reference of `range_statistics.wgsl` in double: `[images * heads][ceil(rows / 32)][max |x|, min, max, sum of squares]`. */
export function rangeStatisticsReference(source: Float32Array, shape: RangeStatisticsShape): Float64Array {
  const { images, heads, rows, columns, view } = shape;
  const statistics: number[] = [];
  for (let entry = 0; entry < images * heads; entry++) {
    for (let first = 0; first < rows; first += 32) {
      let [low, high, squares] = [Infinity, -Infinity, 0];
      for (let row = first; row < Math.min(first + 32, rows); row++) {
        for (let column = 0; column < columns; column++) {
          const x = viewElement(source, view, heads, entry, row, column);
          low = Math.min(low, x);
          high = Math.max(high, x);
          squares += x * x;
        }
      }
      statistics.push(Math.max(-low, high), low, high, squares);
    }
  }
  return Float64Array.from(statistics);
}
