import wgsl from '../../shaders/dequantize.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom } from './codes.ts';

export const dequantizeKernel = {
  name: 'dequantize',
  wgsl,
  bindings: { source: 'read', scales: 'read', y: 'read_write' },
  params: { rows: 'u32', columns: 'u32', offset: 'u32', row_stride: 'u32', rows_per_head: 'u32', heads: 'u32' },
  overrides: { WORKGROUP_SIZE: 64, BITS: 32 },
} as const satisfies Kernel;

export interface DequantizeBuffers {
  /** Signed integers of `bits`, 32 / bits a word, rows padded to words. */
  readonly source: Bindable;
  /** f32 `[heads]`, the real value of one integer unit. */
  readonly scales: Bindable;
  /** f32 `[rows][columns]`. */
  readonly y: Bindable;
}

export interface DequantizeParams {
  /** Width of an integer: 8 packed codes, 16 the residual stream, 32 accumulators. */
  readonly bits: 8 | 16 | 32;
  /** All rows of all images and heads, images outermost, tokens innermost. */
  readonly rows: number;
  readonly columns: number;
  /** Consecutive rows of one head. Default all. */
  readonly rowsPerHead?: number;
  readonly heads?: number;
  /** First word of the source, and words between its rows. Default 0 and dense. */
  readonly offset?: number;
  readonly rowStride?: number;
}

/**
 * Prepares `y = scale * x`, one f32 multiplication of an exactly converted integer; a 32-bit integer of 2^24 and more is rounded
 * to f32 first.
 *
 * @throws RangeError on a bad width or size, or a buffer too small
 */
export async function dequantize(
  device: GPUDevice,
  { source, scales, y }: DequantizeBuffers,
  params: DequantizeParams,
): Promise<Dispatch> {
  const { bits, rows, columns, rowsPerHead = rows, heads = 1, offset = 0 } = params;
  if (![8, 16, 32].includes(bits)) throw new RangeError(`bits must be 8, 16 or 32, got ${bits}`);
  checkIntegers({ rows, columns, rowsPerHead, heads }, 1);
  const words = Math.ceil((columns * bits) / 32);
  const { rowStride = words } = params;
  checkIntegers({ offset, rowStride }, 0);
  checkRoom('source', source, offset + (rows - 1) * rowStride + words);
  checkRoom('scales', scales, heads);
  checkRoom('y', y, rows * columns);
  return prepare(
    device,
    dequantizeKernel,
    { source, scales, y },
    { rows, columns, offset, row_stride: rowStride, rows_per_head: rowsPerHead, heads },
    gridFor(device, rows * columns, dequantizeKernel.overrides.WORKGROUP_SIZE),
    { BITS: bits },
  );
}
