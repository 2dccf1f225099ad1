import body from '../../shaders/mean_rows_i16.wgsl?raw';
import library from '../../shaders/lib_fixed_point.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, codeWords } from './codes.ts';
import { dyadicFault, type Dyadic } from './dyadic.ts';
import { int16Words } from './int16.ts';
import { requireSizes } from './sizes.ts';

export const meanRowsI16Kernel = {
  name: 'mean_rows_i16',
  wgsl: `${body}\n${library}`,
  bindings: { x: 'read', y: 'read_write' },
  params: {
    images: 'u32',
    rows: 'u32',
    features: 'u32',
    first: 'u32',
    bias: 'i32',
    multiplier: 'u32',
    shift: 'u32',
    qmin: 'i32',
    qmax: 'i32',
  },
  overrides: { WORKGROUP_SIZE: 64, OUTPUT: 0 },
} as const satisfies Kernel;

export interface MeanRowsI16Params extends Dyadic {
  readonly images: number;
  readonly rows: number;
  readonly features: number;
  /** First row of the mean. Default 0. */
  readonly first?: number;
  /** Added to the sum. Default 0. */
  readonly bias?: number;
  /** Four codes a word or two int16; the rescale has form 8 or `int16`. */
  readonly output: 'codes' | 'int16';
  /** Inclusive bounds of the codes. Default -128 and 127. */
  readonly qmin?: number;
  readonly qmax?: number;
}

/** Largest |sum| of `rows` 16-bit integers and a bias. */
export function largestRowSum(rows: number, bias: number): number {
  return rows * 2 ** 15 + Math.abs(bias);
}

/**
 * Prepares the rescaled sum of rows of 16-bit integers.
 *
 * @param buffers.x u32 `[images][rows][ceil(features / 2)]`
 * @param buffers.y u32 `[images]` rows of codes or int16
 * @throws RangeError for a bad size, a rescale outside its form, a sum that could pass 32 bits or a buffer too small
 */
export async function meanRowsI16(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof meanRowsI16Kernel.bindings, Bindable>>,
  params: MeanRowsI16Params,
): Promise<Dispatch> {
  const { images, rows, features, first = 0, bias = 0, output, multiplier, shift, qmin = -128, qmax = 127 } = params;
  requireSizes({ images, rows, features });
  checkIntegers({ first }, 0);
  if (first >= rows) throw new RangeError(`first must be below ${rows} rows, got ${first}`);
  const fault = dyadicFault({ multiplier, shift }, output === 'codes' ? 8 : 'int16');
  if (fault !== undefined) throw new RangeError(fault);
  if (largestRowSum(rows - first, bias) >= 2 ** 31) {
    throw new RangeError(`${rows - first} rows and a bias of ${bias} can pass a 32-bit sum`);
  }
  checkRoom('x', buffers.x, images * rows * int16Words(features));
  const count = images * (output === 'codes' ? codeWords(features) : int16Words(features));
  checkRoom('y', buffers.y, count);
  return prepare(
    device,
    meanRowsI16Kernel,
    buffers,
    { images, rows, features, first, bias, multiplier, shift, qmin, qmax },
    gridFor(device, count, meanRowsI16Kernel.overrides.WORKGROUP_SIZE),
    { OUTPUT: output === 'codes' ? 0 : 1 },
  );
}
