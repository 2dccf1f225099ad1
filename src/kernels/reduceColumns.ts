import wgsl from '../../shaders/reduce_columns.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom } from './codes.ts';

export const reduceColumnsKernel = {
  name: 'reduce_columns',
  wgsl,
  bindings: { source: 'read', sums: 'read_write' },
  params: { rows: 'u32', columns: 'u32', parts: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface ReduceColumnsBuffers {
  /** f32 `[rows][columns]`. */
  readonly source: GPUBuffer;
  /** f32 `[rows][parts]`, written. */
  readonly sums: GPUBuffer;
}

export interface ReduceColumnsParams {
  readonly rows: number;
  readonly columns: number;
  /** Equal parts of the columns; must divide them. */
  readonly parts: number;
}

/**
 * Prepares the sums of equal column parts of each row, in a fixed order.
 *
 * @throws RangeError on a bad count, parts that do not divide the columns, or a buffer too small
 */
export async function reduceColumns(
  device: GPUDevice,
  { source, sums }: ReduceColumnsBuffers,
  params: ReduceColumnsParams,
): Promise<Dispatch> {
  const { rows, columns, parts } = params;
  checkIntegers({ rows, columns, parts }, 1);
  if (columns % parts !== 0) throw new RangeError(`${columns} columns do not divide into ${parts} equal parts`);
  checkRoom('source', source, rows * columns);
  checkRoom('sums', sums, rows * parts);
  const grid = gridFor(device, rows * parts, reduceColumnsKernel.overrides.WORKGROUP_SIZE);
  return prepare(device, reduceColumnsKernel, { source, sums }, { rows, columns, parts }, grid);
}
