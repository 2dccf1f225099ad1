import type { RowView } from '../../src/kernels/codes.ts';
import { random } from './codes.ts';

/** A strided view whose columns are adjacent, and its counts. */
export interface ViewedTensor {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  readonly view: RowView;
}

/** A token-major tensor of several heads with one outlier of 215, and 1e9 outside the view. */
export function outlierTensor(
  images: number,
  heads: number,
  rows: number,
  columns: number,
  sign = 0,
): [Float32Array, ViewedTensor] {
  const rowStride = heads * columns + 2;
  const view = { offset: 3, imageStride: rows * rowStride + 1, headStride: columns, rowStride };
  const source = new Float32Array(view.offset + images * view.imageStride).fill(1e9);
  const next = random(rows * columns);
  for (let image = 0; image < images; image++) {
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < heads * columns; i++) {
        const x = 5 * (next() + next() - 1);
        source[view.offset + image * view.imageStride + row * rowStride + i] = sign ? sign * Math.abs(x) - sign : x;
      }
    }
  }
  source[view.offset + (rows - 1) * rowStride + columns - 1] = sign < 0 ? -215 : 215;
  return [source, { images, heads, rows, columns, view }];
}
