import type { SearchedOperation, Unit } from '../model/graph.ts';

/** The matrix of each window of each image, and head, inside a buffer of f32: element (window, head, row, column). */
export interface StridedMatrix {
  readonly tensor: string;
  readonly offset: number;
  /** Between windows: of an image that is one window, between images. */
  readonly imageStride: number;
  readonly headStride: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/**
 * One searched product of a unit, a linear layer or an attention product alike: output = a * b for every window and head. Windows of
 * an image follow each other as images do, so that kernels are told of `images * windows` images.
 */
export interface ProductGeometry {
  /** Windows of an image. */
  readonly windows: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  /** `[rows, depth]` */
  readonly a: StridedMatrix;
  /** `[depth, columns]`; undefined when b is a weight. */
  readonly b: StridedMatrix | undefined;
  /** `[rows, columns]`, column stride 1. */
  readonly output: StridedMatrix;
}

export function productGeometry(operation: SearchedOperation, unit: Unit): ProductGeometry {
  if (operation.kind === 'linear') {
    const { rows, inFeatures: depth, outFeatures: columns } = operation;
    return {
      windows: 1,
      heads: 1,
      rows,
      depth,
      columns,
      a: rowMajor(operation.input, rows, depth),
      b: undefined,
      output: rowMajor(operation.output, rows, columns),
    };
  }
  const { windows, heads, rows, depth, columns } = operation;
  const strided = (view: Omit<StridedMatrix, 'imageStride'>): StridedMatrix => {
    const elements = unit.elements[view.tensor];
    if (elements === undefined) throw new Error(`${operation.name} reads ${view.tensor}, which ${unit.name} lacks`);
    return { ...view, imageStride: elements / windows };
  };
  return {
    windows,
    heads,
    rows,
    depth,
    columns,
    a: strided(operation.a),
    b: strided(operation.b),
    output: strided(operation.output),
  };
}

/** Multiply-accumulates of one image. */
export function multiplyAccumulates({ windows, heads, rows, depth, columns }: ProductGeometry): number {
  return windows * heads * rows * depth * columns;
}

function rowMajor(tensor: string, rows: number, columns: number): StridedMatrix {
  return { tensor, offset: 0, imageStride: rows * columns, headStride: 0, rowStride: columns, columnStride: 1 };
}
