import wgsl from '../../shaders/quantize_twin_softmax.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkBits, checkIntegers, checkRoom, codeWords } from './codes.ts';

export const quantizeTwinSoftmaxKernel = {
  name: 'quantize_twin_softmax',
  wgsl,
  bindings: { source: 'read', table: 'read', codes: 'read_write' },
  params: { candidates: 'u32', rows: 'u32', depth: 'u32', offset: 'u32', bits: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

/** Where R1 ends: `nearest` at the midpoint of its last code and the first code of R2 above it, `published` at 2^-shift. */
export type TwinBoundary = 'nearest' | 'published';

/**
 * The four f32 values of a candidate: threshold, 1 / scaleR1, 1 / scaleR2, 0; all exact.
 *
 * @throws RangeError on a width outside 2..8 or a shift outside 0..15
 */
export function twinSoftmaxTable(
  shift: number,
  bits: number,
  boundary: TwinBoundary,
): [threshold: number, inverseR1: number, inverseR2: number, zero: 0] {
  checkBits(bits);
  if (!Number.isInteger(shift) || shift < 0 || shift > 15) {
    throw new RangeError(`shift must be an integer in 0..15, got ${shift}`);
  }
  const scaleR2 = 2 ** -(bits - 1);
  const lastR1 = (2 ** (bits - 1) - 1) * scaleR2 * 2 ** -shift;
  const firstR2 = Math.max(1, 2 ** (bits - 1 - shift)) * scaleR2;
  const threshold = boundary === 'nearest' ? (lastR1 + firstR2) / 2 : 2 ** -shift;
  return [threshold, 2 ** (bits - 1 + shift), 2 ** (bits - 1), 0];
}

export interface TwinBuffers {
  /** f32 `[rows][depth]` from element `offset`. */
  readonly source: Bindable;
  /** f32, one row of the kernel's table per candidate. */
  readonly table: Bindable;
  /** u32 `[candidates][rows][ceil(depth / 4)]`. */
  readonly codes: Bindable;
}

export interface TwinParams {
  readonly candidates: number;
  /** All rows of all images and heads. */
  readonly rows: number;
  readonly depth: number;
  /** Width of a code, flag included; 2 to 8. */
  readonly bits: number;
  /** First element of the source. Default 0. */
  readonly offset?: number;
}

/**
 * Prepares twin uniform quantization of post-softmax probabilities (PTQ4ViT, section 3.2); the table's rows are those of
 * `twinSoftmaxTable` for the same bits.
 *
 * @throws RangeError on a bad width, count, or a buffer too small
 */
export async function quantizeTwinSoftmax(
  device: GPUDevice,
  buffers: TwinBuffers,
  params: TwinParams,
): Promise<Dispatch> {
  const words = checkTwin(buffers, params, 4);
  const grid = gridFor(device, words, quantizeTwinSoftmaxKernel.overrides.WORKGROUP_SIZE);
  return prepare(device, quantizeTwinSoftmaxKernel, { ...buffers }, { offset: 0, ...params }, grid);
}

/** Checks what both twin quantizers share; returns the words they write. */
export function checkTwin({ source, table, codes }: TwinBuffers, params: TwinParams, tableWidth: number): number {
  const { candidates, rows, depth, bits, offset = 0 } = params;
  checkBits(bits);
  checkIntegers({ candidates, rows, depth }, 1);
  checkIntegers({ offset }, 0);
  const words = candidates * rows * codeWords(depth);
  checkRoom('source', source, offset + rows * depth);
  checkRoom('table', table, candidates * tableWidth);
  checkRoom('codes', codes, words);
  return words;
}
