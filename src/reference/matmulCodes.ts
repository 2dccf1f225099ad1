import { codeByte, decodeCode, type Decoding } from './codes.ts';

export interface MatmulCodesShape extends Decoding {
  /** images * heads */
  readonly batch: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  /** Words between the B of two batch entries, 0 when shared. */
  readonly bBatchStride: number;
}

/**
 * Reference of the integer part of `matmul_codes.wgsl`: `[batch][rows][columns]` sums of products of codes, exact in a double.
 * Operand A begins at word `aFirst`, operand B at word `bFirst`.
 */
export function matmulCodesReference(
  a: Uint32Array,
  b: Uint32Array,
  shape: MatmulCodesShape,
  aFirst = 0,
  bFirst = 0,
): Float64Array {
  const { batch, rows, depth, columns, bBatchStride } = shape;
  const words = Math.ceil(depth / 4);
  const sums = new Float64Array(batch * rows * columns);
  const left = new Float64Array(depth);
  const right = new Float64Array(depth * columns);
  for (let entry = 0; entry < batch; entry++) {
    for (let d = 0; d < depth; d++) {
      for (let column = 0; column < columns; column++) {
        const byte = codeByte(b, bFirst + entry * bBatchStride + column, columns, d);
        right[d * columns + column] = byte >= 128 ? byte - 256 : byte;
      }
    }
    for (let row = 0; row < rows; row++) {
      const out = (entry * rows + row) * columns;
      for (let d = 0; d < depth; d++)
        left[d] = decodeCode(codeByte(a, aFirst + (entry * rows + row) * words, 1, d), shape);
      for (let d = 0; d < depth; d++) {
        for (let column = 0; column < columns; column++) {
          sums[out + column] =
            (sums[out + column] as number) + (left[d] as number) * (right[d * columns + column] as number);
        }
      }
    }
  }
  return sums;
}
