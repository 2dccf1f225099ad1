import wgsl from '../../shaders/gather_rows.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, type RowView } from './codes.ts';

export const gatherRowsKernel = {
  name: 'gather_rows',
  wgsl,
  bindings: { source: 'read', indices: 'read', destination: 'read_write' },
  params: {
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    columns: 'u32',
    offset: 'u32',
    image_stride: 'u32',
    head_stride: 'u32',
    row_stride: 'u32',
    target_offset: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface GatherRowsBuffers {
  /** Words at the view: f32 values or packed codes. */
  readonly source: GPUBuffer;
  /** u32 `[images][rows]`; each below the rows of the source, which the kernel cannot check. */
  readonly indices: GPUBuffer;
  /** Written from word `targetOffset`: `[images][heads][rows][columns]`. */
  readonly destination: GPUBuffer;
}

export interface GatherRowsParams {
  readonly images: number;
  readonly heads: number;
  /** Rows wanted of each image. */
  readonly rows: number;
  /** Words of a row. */
  readonly columns: number;
  /** Where the source lies; its columns are adjacent. */
  readonly view: RowView;
  readonly targetOffset: number;
}

/**
 * Prepares a copy of chosen rows of a strided view into adjacent rows.
 *
 * @throws RangeError on a bad count or a buffer too small
 */
export async function gatherRows(
  device: GPUDevice,
  { source, indices, destination }: GatherRowsBuffers,
  { images, heads, rows, columns, view, targetOffset }: GatherRowsParams,
): Promise<Dispatch> {
  checkIntegers({ images, heads, rows, columns }, 1);
  checkIntegers({ ...view, targetOffset }, 0);
  const words = images * heads * rows * columns;
  checkRoom('indices', indices, images * rows);
  checkRoom('destination', destination, targetOffset + words);
  return prepare(
    device,
    gatherRowsKernel,
    { source, indices, destination },
    {
      images,
      heads,
      rows,
      columns,
      offset: view.offset,
      image_stride: view.imageStride,
      head_stride: view.headStride,
      row_stride: view.rowStride,
      target_offset: targetOffset,
    },
    gridFor(device, words, gatherRowsKernel.overrides.WORKGROUP_SIZE),
  );
}
