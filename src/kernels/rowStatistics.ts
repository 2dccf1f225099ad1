import wgsl from '../../shaders/row_statistics.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, viewExtent, type RowView } from './codes.ts';

export const rowStatisticsKernel = {
  name: 'row_statistics',
  wgsl,
  bindings: { source: 'read', statistics: 'read_write' },
  params: {
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    columns: 'u32',
    offset: 'u32',
    image_stride: 'u32',
    head_stride: 'u32',
    row_stride: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface RowStatisticsBuffers {
  /** f32 at the view. */
  readonly source: GPUBuffer;
  /** f32 `[images * rows][2]`, written: max |x| and sum of squares of a row over all heads. */
  readonly statistics: GPUBuffer;
}

export interface RowStatisticsParams {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  /** Where the source lies; its columns are adjacent. */
  readonly view: RowView;
}

/**
 * Prepares largest magnitude and power of every row of a strided view, over all its heads.
 *
 * @throws RangeError on a bad count or a buffer too small
 */
export async function rowStatistics(
  device: GPUDevice,
  { source, statistics }: RowStatisticsBuffers,
  params: RowStatisticsParams,
): Promise<Dispatch> {
  const { images, heads, rows, columns, view } = params;
  checkIntegers({ images, heads, rows, columns }, 1);
  checkIntegers({ ...view }, 0);
  checkRoom('source', source, viewExtent(view, images, heads, rows, columns));
  checkRoom('statistics', statistics, 2 * images * rows);
  return prepare(
    device,
    rowStatisticsKernel,
    { source, statistics },
    {
      images,
      heads,
      rows,
      columns,
      offset: view.offset,
      image_stride: view.imageStride,
      head_stride: view.headStride,
      row_stride: view.rowStride,
    },
    gridFor(device, images * rows, rowStatisticsKernel.overrides.WORKGROUP_SIZE),
  );
}
