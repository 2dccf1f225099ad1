import { codeWords, type RowView } from './codes.ts';
import { int16Words } from './int16.ts';

/** What `matmulRequantize` writes: packed codes along columns or along rows, packed int16, or the bare int32. */
export type RequantizedType = 'codes' | 'codes-by-rows' | 'int16' | 'int32';

/** Group (image, head, R, C) is at offset + image*imageStride + head*headStride + R*rowStride + C*columnStride, in words. */
export interface WordView extends RowView {
  readonly columnStride: number;
}

/** Where a product is written and in which form; groups of R and C are those of `requantizedGroups`. */
export interface RequantizedOutput {
  readonly type: RequantizedType;
  readonly view: WordView;
}

/** Rows and columns of words of one matrix `[rows][columns]`. */
export function requantizedGroups(type: RequantizedType, rows: number, columns: number): readonly [number, number] {
  switch (type) {
    case 'codes':
      return [rows, codeWords(columns)];
    case 'codes-by-rows':
      return [codeWords(rows), columns];
    case 'int16':
      return [rows, int16Words(columns)];
    case 'int32':
      return [rows, columns];
  }
}

export type DenseLayout = 'left' | 'right' | 'right-transposed' | 'int16' | 'int32';

const TYPE_OF: Readonly<Record<DenseLayout, RequantizedType>> = {
  left: 'codes',
  right: 'codes-by-rows',
  'right-transposed': 'codes',
  int16: 'int16',
  int32: 'int32',
};

/**
 * A whole tensor `[images][heads]` of such matrices, each dense.
 * - `left`: codes, the left operand of a product
 * - `right`: codes, the right operand of `x y` (V of P.V): words of four rows, `[rows / 4][columns]`
 * - `right-transposed`: codes, the right operand of `x y^T` (K of Q.K^T): words of four columns, `[columns / 4][rows]`
 * - `int16`, `int32`: row-major
 */
export function denseOutput(
  layout: DenseLayout,
  { heads, rows, columns }: { readonly heads: number; readonly rows: number; readonly columns: number },
): RequantizedOutput {
  const type = TYPE_OF[layout];
  const [down, across] = requantizedGroups(type, rows, columns);
  const strides = { offset: 0, imageStride: heads * down * across, headStride: down * across };
  if (layout === 'right-transposed') return { type, view: { ...strides, rowStride: 1, columnStride: down } };
  return { type, view: { ...strides, rowStride: across, columnStride: 1 } };
}

/** Words up to the last one that the output reaches. */
export function outputExtent(
  { type, view }: RequantizedOutput,
  { images, heads, rows, columns }: Readonly<Record<'images' | 'heads' | 'rows' | 'columns', number>>,
): number {
  const [down, across] = requantizedGroups(type, rows, columns);
  const { offset, imageStride, headStride, rowStride, columnStride } = view;
  return (
    offset +
    (images - 1) * imageStride +
    (heads - 1) * headStride +
    (down - 1) * rowStride +
    (across - 1) * columnStride +
    1
  );
}
