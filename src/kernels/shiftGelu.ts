import exponentials from '../../shaders/lib_int_exp.wgsl?raw';
import fixedPoint from '../../shaders/lib_fixed_point.wgsl?raw';
import levels from '../../shaders/lib_levels.wgsl?raw';
import wgsl from '../../shaders/shift_gelu.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkGeluConstants, type IntGeluConstants } from './geluConstants.ts';
import { checkGelu, type IntGeluBuffers, type IntGeluShape } from './intGelu.ts';

export const shiftGeluKernel = {
  name: 'shift_gelu',
  wgsl: `${wgsl}\n${levels}\n${exponentials}\n${fixedPoint}`,
  bindings: { source: 'read', table: 'read', codes: 'read_write' },
  params: {
    rows: 'u32',
    columns: 'u32',
    bits: 'u32',
    shift: 'u32',
    multiplier: 'u32',
    multiplier_shift: 'u32',
    unit: 'u32',
    first_level: 'u32',
    last_level: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 32, LANES: 1, INPUT_BITS: 16, CODES: 0 },
} as const satisfies Kernel;

export interface ShiftGeluParams extends IntGeluShape {
  readonly constants: IntGeluConstants & { readonly method: 'shift' };
  /** Lanes that share a row: 1, 2, 4, 8, 16 or 32, the same result with each. Default 1. */
  readonly lanes?: number;
}

/**
 * Prepares ShiftGELU as published from packed codes to codes (I-ViT, section 3.3; PTQ4ViT, section 3.2).
 *
 * @throws RangeError on a width or count out of range, on constants that could pass int32, or on a buffer too small
 */
export async function shiftGelu(
  device: GPUDevice,
  buffers: IntGeluBuffers,
  params: ShiftGeluParams,
): Promise<Dispatch> {
  const { rows, columns, inputBits, bits, shift, constants, lanes = 1 } = params;
  const level = checkGelu(buffers, params);
  checkGeluConstants(constants, inputBits, shift);
  if (![1, 2, 4, 8, 16, 32].includes(lanes))
    throw new RangeError(`lanes must be a power of two in 1..32, got ${lanes}`);
  const { unit, multiplier, multiplierShift } = constants;
  return prepare(
    device,
    shiftGeluKernel,
    { ...buffers, table: buffers.table ?? buffers.source }, // a binding that only levels read
    { rows, columns, bits, shift, multiplier, multiplier_shift: multiplierShift, unit, ...level.params },
    gridFor(device, rows * lanes, shiftGeluKernel.overrides.WORKGROUP_SIZE),
    { LANES: lanes, INPUT_BITS: inputBits, CODES: level.code },
  );
}
