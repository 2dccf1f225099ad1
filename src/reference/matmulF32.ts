/** Element (image, head, row, column) lies at offset + image*outer + head*inner + row*rowStride + column*columnStride. */
export interface StridedReference {
  readonly offset: number;
  readonly outerStride: number;
  readonly innerStride: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

export interface MatmulReferenceShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly heads: number;
  readonly images: number;
  readonly a: StridedReference;
  readonly b: StridedReference;
  readonly c: StridedReference;
}

/** Reference of `matmul_f32.wgsl`: C = A * B (+ bias) in double, rounded once to f32. Writes into `c`, the rest of it untouched. */
export function matmulF32Reference(
  a: Float32Array,
  b: Float32Array,
  bias: Float32Array | null,
  c: Float32Array,
  shape: MatmulReferenceShape,
): void {
  for (let image = 0; image < shape.images; image++) {
    for (let head = 0; head < shape.heads; head++) {
      const at = (m: StridedReference, row: number, column: number) =>
        m.offset + image * m.outerStride + head * m.innerStride + row * m.rowStride + column * m.columnStride;
      for (let row = 0; row < shape.rows; row++) {
        for (let column = 0; column < shape.columns; column++) {
          let sum = 0;
          for (let k = 0; k < shape.depth; k++) {
            sum += (a[at(shape.a, row, k)] as number) * (b[at(shape.b, k, column)] as number);
          }
          c[at(shape.c, row, column)] = sum + (bias ? (bias[column] as number) : 0);
        }
      }
    }
  }
}
