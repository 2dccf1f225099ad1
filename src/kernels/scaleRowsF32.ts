import wgsl from '../../shaders/scale_rows_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom } from './codes.ts';

export const scaleRowsF32Kernel = {
  name: 'scale_rows_f32',
  wgsl,
  bindings: { source: 'read', factors: 'read', destination: 'read_write' },
  params: { rows: 'u32', columns: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface ScaleRowsBuffers {
  /** f32 `[rows][columns]`. */
  readonly source: GPUBuffer;
  /** f32 `[rows]`. */
  readonly factors: GPUBuffer;
  /** f32 `[rows][columns]`, written. */
  readonly destination: GPUBuffer;
}

export interface ScaleRowsParams {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Prepares every row of a matrix times a factor of its own.
 *
 * @throws RangeError on a bad count or a buffer too small
 */
export async function scaleRowsF32(
  device: GPUDevice,
  buffers: ScaleRowsBuffers,
  { rows, columns }: ScaleRowsParams,
): Promise<Dispatch> {
  checkIntegers({ rows, columns }, 1);
  checkRoom('source', buffers.source, rows * columns);
  checkRoom('factors', buffers.factors, rows);
  checkRoom('destination', buffers.destination, rows * columns);
  const { WORKGROUP_SIZE } = scaleRowsF32Kernel.overrides;
  const grid = gridFor(device, rows * Math.ceil(columns / 4), WORKGROUP_SIZE);
  return prepare(device, scaleRowsF32Kernel, { ...buffers }, { rows, columns }, grid);
}
