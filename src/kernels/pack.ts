/** Host-side packing of 8-bit codes into the words that kernels read: four a word, padded with zeros. */

/**
 * Codes of several matrices `[rows, depth]` one after the other, row-major, each row padded to whole words.
 *
 * @returns uint8 `[matrices][rows][4 * words]`
 */
export function packRows(matrices: readonly Int8Array[], depth: number): Uint8Array {
  const padded = 4 * Math.ceil(depth / 4);
  const rows = matrices.reduce((sum, codes) => sum + codes.length / depth, 0);
  const packed = new Uint8Array(rows * padded);
  let row = 0;
  for (const codes of matrices) {
    for (let start = 0; start < codes.length; start += depth) {
      packed.set(new Uint8Array(codes.buffer, codes.byteOffset + start, depth), padded * row++);
    }
  }
  return packed;
}

/**
 * Codes of a weight `[columns, depth]` as a right operand: four consecutive depths of one column in a word.
 *
 * @returns uint8 `[words][columns][4]`
 */
export function packDepthMajor(codes: Int8Array, columns: number, depth: number): Uint8Array {
  const words = Math.ceil(depth / 4);
  const packed = new Uint8Array(4 * words * columns);
  for (let column = 0; column < columns; column++) {
    for (let k = 0; k < depth; k++) {
      packed[4 * ((k >> 2) * columns + column) + (k & 3)] = codes[column * depth + k] as number;
    }
  }
  return packed;
}
