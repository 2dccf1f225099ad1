import wgsl from '../../shaders/histogram.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, viewExtent, type RowView } from './codes.ts';

export const histogramKernel = {
  name: 'histogram',
  wgsl,
  bindings: { source: 'read', inverse_widths: 'read', counts: 'read_write' },
  params: {
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    columns: 'u32',
    bins: 'u32',
    offset: 'u32',
    image_stride: 'u32',
    head_stride: 'u32',
    row_stride: 'u32',
  },
  overrides: {},
} as const satisfies Kernel;

export interface HistogramBuffers {
  /** f32 at the view. */
  readonly source: GPUBuffer;
  /** f32 `[heads]`, `Math.fround(1 / width)`. */
  readonly inverseWidths: GPUBuffer;
  /** u32 `[heads][2 * bins]`, added to: negative values by falling magnitude, then the others by rising magnitude. */
  readonly counts: GPUBuffer;
}

export interface HistogramParams {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  /** Bins of the magnitudes of one sign; larger magnitudes than the last bin's count there. */
  readonly bins: number;
  /** Where the source lies; its columns are adjacent. */
  readonly view: RowView;
}

/**
 * Prepares the counts of values by sign and magnitude, each head in bins of its own width; exact.
 *
 * @throws RangeError on a bad count or a buffer too small
 */
export async function histogram(
  device: GPUDevice,
  { source, inverseWidths, counts }: HistogramBuffers,
  params: HistogramParams,
): Promise<Dispatch> {
  const { images, heads, rows, columns, bins, view } = params;
  checkIntegers({ images, heads, rows, columns, bins }, 1);
  checkIntegers({ ...view }, 0);
  checkRoom('source', source, viewExtent(view, images, heads, rows, columns));
  checkRoom('inverseWidths', inverseWidths, heads);
  checkRoom('counts', counts, 2 * heads * bins);
  return prepare(
    device,
    histogramKernel,
    { source, inverse_widths: inverseWidths, counts },
    {
      images,
      heads,
      rows,
      columns,
      bins,
      offset: view.offset,
      image_stride: view.imageStride,
      head_stride: view.headStride,
      row_stride: view.rowStride,
    },
    gridFor(device, images * heads * Math.ceil(rows / 32), 1),
  );
}
