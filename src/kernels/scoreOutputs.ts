import wgsl from '../../shaders/score_outputs.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, viewExtent, type RowView } from './codes.ts';

export const scoreOutputsKernel = {
  name: 'score_outputs',
  wgsl,
  bindings: { outputs: 'read', y: 'read', gradient: 'read', partials: 'read_write' },
  params: {
    candidates: 'u32',
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    columns: 'u32',
    parts: 'u32',
    y_offset: 'u32',
    y_image_stride: 'u32',
    y_head_stride: 'u32',
    y_row_stride: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 64, METRIC: 0 },
} as const satisfies Kernel;

const METRIC = {
  mse: 0,
  hessian: 1,
  l1: 2,
  'linear-weighted-mse': 3,
  'square-weighted-mse': 4,
  cosine: 5,
  pearson: 6,
} as const;

export interface ScoreOutputsBuffers {
  /** f32 `[candidates][images * heads][rows][columns]`. */
  readonly outputs: GPUBuffer;
  /** f32, the float output at the view `y`. */
  readonly y: GPUBuffer;
  /** f32, dL/dy at the same view; null but for `hessian`. */
  readonly gradient: GPUBuffer | null;
  /** f32 `[candidates][images * heads][ceil(rows / 32)][parts]`, written. */
  readonly partials: GPUBuffer;
}

export interface ScoreOutputsParams {
  readonly metric: keyof typeof METRIC;
  readonly candidates: number;
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  /** Equal parts of the columns; must divide them. */
  readonly parts: number;
  /** Where the float output lies; its columns are adjacent. */
  readonly y: RowView;
}

/**
 * Prepares the errors of candidate outputs, summed over fixed groups of 32 rows: any metric of the search.
 *
 * @throws RangeError on a bad count, parts that do not divide the columns, a missing gradient or a buffer too small
 */
export async function scoreOutputs(
  device: GPUDevice,
  { outputs, y, gradient, partials }: ScoreOutputsBuffers,
  params: ScoreOutputsParams,
): Promise<Dispatch> {
  const { metric, candidates, images, heads, rows, columns, parts, y: view } = params;
  checkIntegers({ candidates, images, heads, rows, columns, parts }, 1);
  checkIntegers({ ...view }, 0);
  if (columns % parts !== 0) throw new RangeError(`${columns} columns do not divide into ${parts} equal parts`);
  if (metric === 'hessian' && !gradient) throw new RangeError('metric hessian needs a gradient');
  checkRoom('outputs', outputs, candidates * images * heads * rows * columns);
  checkRoom('y', y, viewExtent(view, images, heads, rows, columns));
  if (gradient) checkRoom('gradient', gradient, viewExtent(view, images, heads, rows, columns));
  const count = candidates * images * heads * Math.ceil(rows / 32) * parts;
  checkRoom('partials', partials, count);
  return prepare(
    device,
    scoreOutputsKernel,
    { outputs, y, gradient: gradient ?? y, partials },
    {
      candidates,
      images,
      heads,
      rows,
      columns,
      parts,
      y_offset: view.offset,
      y_image_stride: view.imageStride,
      y_head_stride: view.headStride,
      y_row_stride: view.rowStride,
    },
    gridFor(device, count, scoreOutputsKernel.overrides.WORKGROUP_SIZE),
    { METRIC: METRIC[metric] },
  );
}
