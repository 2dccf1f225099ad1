import wgsl from '../../shaders/matmul_f32.wgsl?raw';
import { prepare, type Dispatch, type Grid, type Kernel } from '../gpu/kernel.ts';
import { matmulF32Interface } from './matmulF32Interface.ts';
import { matmulF32SubgroupsKernel } from './matmulF32Subgroups.ts';

import { requireSizes } from './sizes.ts';
import { hasSubgroupsOfFour } from './subgroups.ts';

export const matmulF32Kernel = {
  name: 'matmul_f32',
  wgsl,
  ...matmulF32Interface,
  overrides: { WORKGROUP_SIZE: 32, VECTOR_A: 0 },
} as const satisfies Kernel;

/** Where element (image, head, row, column) lies: offset + image*outer + head*inner + row*row + column*column. In elements. */
export interface StridedMatrix {
  readonly offset: number;
  readonly outerStride: number;
  readonly innerStride: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** C `[rows, columns]` = A `[rows, depth]` * B `[depth, columns]`, once for each of `images * heads`. */
export interface MatmulShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly heads: number;
  readonly images: number;
  readonly a: StridedMatrix;
  readonly b: StridedMatrix;
  /** Column stride 1. */
  readonly c: StridedMatrix;
}

/** Which kernel makes the product; both give the same bits on an adapter. */
export type MatmulF32Kind = 'plain' | 'subgroups';

/** Whether `device` can run the product with rows shared by subgroups: by features and shape alone, never by a measurement. */
export function canShareRows(device: GPUDevice, { a }: Pick<MatmulShape, 'a'>): boolean {
  return hasSubgroupsOfFour(device) && readsInFours(a);
}

const ROWS_PER_LANE = 8;
const COLUMNS_PER_LANE = 4;
const COLUMNS_PER_SHARING_LANE = 2;

/**
 * Prepares a batched strided f32 product, K summed in index order.
 *
 * @param buffers.a f32, read through `shape.a`
 * @param buffers.b f32, read through `shape.b`; may be the buffer of `a`
 * @param buffers.bias f32 `[columns]`, added to every row; null for none
 * @param buffers.c f32, written through `shape.c`, the rest of it untouched; neither a nor b
 * @throws RangeError for a size below 1 or columns of C that are not contiguous
 */
export async function matmulF32(
  device: GPUDevice,
  buffers: { readonly a: GPUBuffer; readonly b: GPUBuffer; readonly bias: GPUBuffer | null; readonly c: GPUBuffer },
  shape: MatmulShape,
  kind: MatmulF32Kind = shape.rows >= 8 && canShareRows(device, shape) ? 'subgroups' : 'plain',
): Promise<Dispatch> {
  const { rows, columns, depth, heads, images, a, b, c } = shape;
  requireSizes({ rows, columns, depth, heads, images });
  if (c.columnStride !== 1)
    throw new RangeError(`columns of the result must be contiguous, got stride ${c.columnStride}`);
  if (kind === 'subgroups' && !canShareRows(device, shape)) {
    throw new RangeError('rows are shared by subgroups of at least 4 lanes, and A must be readable in fours');
  }
  const workgroupSize = kind === 'plain' ? lanesFor(columns) : 32;
  const columnsPerLane = kind === 'plain' ? COLUMNS_PER_LANE : COLUMNS_PER_SHARING_LANE;
  const tiles =
    Math.ceil(columns / (columnsPerLane * workgroupSize)) * Math.ceil(rows / ROWS_PER_LANE) * images * heads;
  const params = {
    rows,
    columns,
    depth,
    heads,
    images,
    has_bias: buffers.bias ? 1 : 0,
    a_offset: a.offset,
    a_outer: a.outerStride,
    a_inner: a.innerStride,
    a_row: a.rowStride,
    a_column: a.columnStride,
    b_offset: b.offset,
    b_outer: b.outerStride,
    b_inner: b.innerStride,
    b_row: b.rowStride,
    b_column: b.columnStride,
    c_offset: c.offset,
    c_outer: c.outerStride,
    c_inner: c.innerStride,
    c_row: c.rowStride,
  };
  const bound = { a: buffers.a, b: buffers.b, bias: buffers.bias ?? buffers.b, c: buffers.c };
  const grid = foldTiles(tiles, device.limits.maxComputeWorkgroupsPerDimension);
  if (kind === 'subgroups') {
    return prepare(device, matmulF32SubgroupsKernel, bound, params, grid, { WORKGROUP_SIZE: workgroupSize });
  }
  return prepare(device, matmulF32Kernel, bound, params, grid, {
    WORKGROUP_SIZE: workgroupSize,
    VECTOR_A: readsInFours(a) ? 1 : 0,
  });
}

/**
 * Lanes of a workgroup: 32, or 16 where that leaves clearly fewer lanes beyond the last column (192 columns: 16 gives 1.2 of
 * the speed of 32 on lavapipe, 1.5 on SwiftShader). A function of the columns only, so chunks of images do not change it.
 */
function lanesFor(columns: number): number {
  const covered = (lanes: number) => Math.ceil(columns / (COLUMNS_PER_LANE * lanes)) * COLUMNS_PER_LANE * lanes;
  return covered(16) < 0.9 * covered(32) ? 16 : 32;
}

/** A row-major matrix without gaps: `rows` rows of `columns`, `heads` of them an image. */
export function denseMatrix(rows: number, columns: number, heads = 1): StridedMatrix {
  return {
    offset: 0,
    outerStride: heads * rows * columns,
    innerStride: rows * columns,
    rowStride: columns,
    columnStride: 1,
  };
}

/** The same elements with rows and columns exchanged. */
export function transposed(matrix: StridedMatrix): StridedMatrix {
  return { ...matrix, rowStride: matrix.columnStride, columnStride: matrix.rowStride };
}

/** Depth is a column stride of A, so four elements of a row are one aligned word exactly when all else is a multiple of 4. */
function readsInFours(a: StridedMatrix): boolean {
  return a.columnStride === 1 && [a.offset, a.outerStride, a.innerStride, a.rowStride].every((n) => n % 4 === 0);
}

/** The shader numbers tiles linearly, so any grid with enough workgroups will do. */
export function foldTiles(tiles: number, limit: number): Grid {
  const layers = Math.ceil(tiles / (limit * limit));
  const lines = Math.ceil(tiles / (limit * layers));
  return [Math.ceil(tiles / (lines * layers)), lines, layers];
}
