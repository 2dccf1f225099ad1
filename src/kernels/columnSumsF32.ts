import wgsl from '../../shaders/column_sums_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom } from './codes.ts';

export const columnSumsF32Kernel = {
  name: 'column_sums_f32',
  wgsl,
  bindings: { source: 'read', weights: 'read', sums: 'read_write' },
  params: { images: 'u32', rows: 'u32', columns: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface ColumnSumsBuffers {
  /** f32 `[images][rows][columns]`. */
  readonly source: GPUBuffer;
  /** f32 `[images][rows]`: what each row counts. */
  readonly weights: GPUBuffer;
  /** f32 `[images][columns]`, written. */
  readonly sums: GPUBuffer;
}

export interface ColumnSumsParams {
  readonly images: number;
  readonly rows: number;
  readonly columns: number;
}

/**
 * Prepares weighted sums of the columns of every matrix of a batch.
 *
 * @throws RangeError on a bad count or a buffer too small
 */
export async function columnSumsF32(
  device: GPUDevice,
  buffers: ColumnSumsBuffers,
  { images, rows, columns }: ColumnSumsParams,
): Promise<Dispatch> {
  checkIntegers({ images, rows, columns }, 1);
  checkRoom('source', buffers.source, images * rows * columns);
  checkRoom('weights', buffers.weights, images * rows);
  checkRoom('sums', buffers.sums, images * columns);
  const grid = gridFor(device, images * columns, columnSumsF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(device, columnSumsF32Kernel, { ...buffers }, { images, rows, columns }, grid);
}
