/** Rows that are factored before the rest of the matrix is brought up to date, and columns that are updated together: they fit a cache. */
const BLOCK = 64;
const COLUMNS = 512;

/**
 * The Cholesky factor R of a symmetric positive definite matrix, `matrix = R^T R`, R upper triangular, in place of the upper triangle;
 * the lower one is neither read nor written. In double, in a fixed order: the same matrix gives the same bits everywhere.
 *
 * @param matrix f64 `[size, size]`, row-major
 * @throws RangeError naming the row whose pivot is not positive
 */
export function choleskyUpper(matrix: Float64Array, size: number): void {
  for (let first = 0; first < size; first += BLOCK) {
    const end = Math.min(first + BLOCK, size);
    for (let k = first; k < end; k++) {
      const pivot = matrix[k * size + k] as number;
      if (!(pivot > 0)) throw new RangeError(`pivot ${k} of ${size} is ${pivot}; the matrix is not positive definite`);
      const inverse = 1 / Math.sqrt(pivot);
      for (let j = k; j < size; j++) matrix[k * size + j] = (matrix[k * size + j] as number) * inverse;
      for (let i = k + 1; i < end; i++) {
        const factor = matrix[k * size + i] as number;
        for (let j = i; j < size; j++) {
          matrix[i * size + j] = (matrix[i * size + j] as number) - factor * (matrix[k * size + j] as number);
        }
      }
    }
    for (let left = end; left < size; left += COLUMNS) {
      const right = Math.min(left + COLUMNS, size);
      for (let i = end; i < right; i++) subtractRows(matrix, size, first, end, i, Math.max(i, left), right);
    }
  }
}

/** `matrix[i, left..right] -= sum over k of matrix[k, i] matrix[k, left..right]`, k in `first..end`, four of them at a time. */
function subtractRows(
  matrix: Float64Array,
  size: number,
  first: number,
  end: number,
  i: number,
  left: number,
  right: number,
): void {
  const row = i * size;
  let k = first;
  for (; k + 4 <= end; k += 4) {
    const [r0, r1, r2, r3] = [k * size, (k + 1) * size, (k + 2) * size, (k + 3) * size];
    const f0 = matrix[r0 + i] as number;
    const f1 = matrix[r1 + i] as number;
    const f2 = matrix[r2 + i] as number;
    const f3 = matrix[r3 + i] as number;
    for (let j = left; j < right; j++) {
      matrix[row + j] =
        (matrix[row + j] as number) -
        (f0 * (matrix[r0 + j] as number) +
          f1 * (matrix[r1 + j] as number) +
          f2 * (matrix[r2 + j] as number) +
          f3 * (matrix[r3 + j] as number));
    }
  }
  for (; k < end; k++) {
    const factor = matrix[k * size + i] as number;
    for (let j = left; j < right; j++) {
      matrix[row + j] = (matrix[row + j] as number) - factor * (matrix[k * size + j] as number);
    }
  }
}

/** Mean of the diagonal of a square matrix. */
export function meanDiagonal(matrix: Float64Array, size: number): number {
  let sum = 0;
  for (let k = 0; k < size; k++) sum += matrix[k * size + k] as number;
  return sum / size;
}
