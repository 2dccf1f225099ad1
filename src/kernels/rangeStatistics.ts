import wgsl from '../../shaders/range_statistics.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, viewExtent, type RowView } from './codes.ts';

export const rangeStatisticsKernel = {
  name: 'range_statistics',
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
  overrides: {},
} as const satisfies Kernel;

export interface RangeStatisticsBuffers {
  /** f32 at the view. */
  readonly source: GPUBuffer;
  /** f32 `[images * heads][ceil(rows / 32)][4]`, written: max |x|, min, max, sum of squares. */
  readonly statistics: GPUBuffer;
}

export interface RangeStatisticsParams {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  /** Where the source lies; its columns are adjacent. */
  readonly view: RowView;
}

/**
 * Prepares range and power of a strided view, by image, head and group of 32 rows.
 *
 * @throws RangeError on a bad count or a buffer too small
 */
export async function rangeStatistics(
  device: GPUDevice,
  { source, statistics }: RangeStatisticsBuffers,
  params: RangeStatisticsParams,
): Promise<Dispatch> {
  const { images, heads, rows, columns, view } = params;
  checkIntegers({ images, heads, rows, columns }, 1);
  checkIntegers({ ...view }, 0);
  const workgroups = images * heads * Math.ceil(rows / 32);
  checkRoom('source', source, viewExtent(view, images, heads, rows, columns));
  checkRoom('statistics', statistics, 4 * workgroups);
  return prepare(
    device,
    rangeStatisticsKernel,
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
    gridFor(device, workgroups, 1),
  );
}
