import wgsl from '../../shaders/column_range.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom } from './codes.ts';

export const columnRangeKernel = {
  name: 'column_range',
  wgsl,
  bindings: { source: 'read', ranges: 'read_write' },
  params: { groups: 'u32', rows: 'u32', columns: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface ColumnRangeBuffers {
  /** f32 `[groups][rows][columns]`. */
  readonly source: GPUBuffer;
  /** f32 `[groups][columns][2]`, written: min, max. */
  readonly ranges: GPUBuffer;
}

export interface ColumnRangeParams {
  readonly groups: number;
  /** Rows of a group. */
  readonly rows: number;
  readonly columns: number;
}

/**
 * Prepares the smallest and the largest value of every column of every group of rows.
 *
 * @throws RangeError on a bad count or a buffer too small
 */
export async function columnRange(
  device: GPUDevice,
  { source, ranges }: ColumnRangeBuffers,
  params: ColumnRangeParams,
): Promise<Dispatch> {
  const { groups, rows, columns } = params;
  checkIntegers({ groups, rows, columns }, 1);
  checkRoom('source', source, groups * rows * columns);
  checkRoom('ranges', ranges, 2 * groups * columns);
  const grid = gridFor(device, groups * columns, columnRangeKernel.overrides.WORKGROUP_SIZE);
  return prepare(device, columnRangeKernel, { source, ranges }, { groups, rows, columns }, grid);
}
