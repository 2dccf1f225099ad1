import type { RangeStatisticsShape } from './rangeStatistics.ts';
import { viewElement } from './scoreElementwise.ts';

/** Reference of `row_statistics.wgsl` in double: `[images * rows][max |x|, sum of squares]`. */
export function rowStatisticsReference(source: Float32Array, shape: RangeStatisticsShape): Float64Array {
  const { images, heads, rows, columns, view } = shape;
  const statistics: number[] = [];
  for (let image = 0; image < images; image++) {
    for (let row = 0; row < rows; row++) {
      let [largest, squares] = [0, 0];
      for (let head = 0; head < heads; head++) {
        for (let column = 0; column < columns; column++) {
          const x = viewElement(source, view, heads, image * heads + head, row, column);
          largest = Math.max(largest, Math.abs(x));
          squares += x * x;
        }
      }
      statistics.push(largest, squares);
    }
  }
  return Float64Array.from(statistics);
}
