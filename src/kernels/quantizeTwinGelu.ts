import wgsl from '../../shaders/quantize_twin_gelu.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkBits } from './codes.ts';
import { checkTwin, type TwinBuffers, type TwinParams } from './quantizeTwinSoftmax.ts';

export const quantizeTwinGeluKernel = {
  name: 'quantize_twin_gelu',
  wgsl,
  bindings: { source: 'read', table: 'read', codes: 'read_write' },
  params: { candidates: 'u32', rows: 'u32', depth: 'u32', offset: 'u32', bits: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

/** The end of R1: -min of GELU, 0.169971207, and 3e-8 to spare for GELU computed in f32. */
export const GELU_DEPTH = 0.16997124;

/**
 * Ties R1 to R2: the largest shift up to `maxShift` with `scaleR2 >= 2^shift * GELU_DEPTH / (2^(bits-1) - 1/2)`, compared exactly
 * in doubles (0 when none), and `scaleR1 = scaleR2 / 2^shift`.
 *
 * @throws RangeError on a width outside 2..8 or a scale that is not positive and finite
 */
export function tieGelu(
  scaleR2: number,
  bits: number,
  maxShift: number,
): { readonly shift: number; readonly scaleR1: number } {
  checkBits(bits);
  if (!(scaleR2 > 0 && scaleR2 < Infinity)) {
    throw new RangeError(`scaleR2 must be positive and finite, got ${scaleR2}`);
  }
  const smallest = GELU_DEPTH / (2 ** (bits - 1) - 0.5);
  let shift = 0;
  while (shift < maxShift && scaleR2 >= 2 ** (shift + 1) * smallest) shift++;
  return { shift, scaleR1: scaleR2 / 2 ** shift };
}

/** The two f32 values of a candidate: 1 / scaleR1, 1 / scaleR2, each formed once in double and rounded. */
export function twinGeluTable(scaleR1: number, scaleR2: number): [inverseR1: number, inverseR2: number] {
  return [Math.fround(1 / scaleR1), Math.fround(1 / scaleR2)];
}

/**
 * Prepares twin uniform quantization of post-GELU activations (PTQ4ViT, section 3.2); the table's rows are those of
 * `twinGeluTable`.
 *
 * @throws RangeError on a bad width, count, or a buffer too small
 */
export async function quantizeTwinGelu(device: GPUDevice, buffers: TwinBuffers, params: TwinParams): Promise<Dispatch> {
  const words = checkTwin(buffers, params, 2);
  const grid = gridFor(device, words, quantizeTwinGeluKernel.overrides.WORKGROUP_SIZE);
  return prepare(device, quantizeTwinGeluKernel, { ...buffers }, { offset: 0, ...params }, grid);
}
