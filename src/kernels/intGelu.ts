import exponentials from '../../shaders/lib_int_exp.wgsl?raw';
import fixedPoint from '../../shaders/lib_fixed_point.wgsl?raw';
import levels from '../../shaders/lib_levels.wgsl?raw';
import wgsl from '../../shaders/int_gelu.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkBits, checkIntegers, checkRoom, codeWords } from './codes.ts';
import { checkGeluConstants, type IntGeluConstants, type IntGeluMethod } from './geluConstants.ts';
import { levelParameters, type NonlinearCodes } from './levels.ts';

export const intGeluKernel = {
  name: 'int_gelu',
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
    fraction: 'u32',
    octaves: 'u32',
    limit: 'u32',
    bound: 'u32',
    constant: 'u32',
    places: 'u32',
    offset: 'u32',
    first_level: 'u32',
    last_level: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 64, INPUT_BITS: 16, METHOD: 0, CODES: 0 },
} as const satisfies Kernel;

type ElementwiseConstants = Exclude<IntGeluConstants, { method: 'shift' }>;

/** `METHOD` of the shader; `shift` is the kernel `shift_gelu`. */
export const INT_GELU_METHOD: Readonly<Record<Exclude<IntGeluMethod, 'shift'>, number>> = {
  'shift-fixed': 0,
  poly: 1,
  lut: 2,
  'lut-codes': 3,
};

export interface IntGeluBuffers {
  /** u32 `[rows][ceil(columns * inputBits / 32)]`, signed codes. */
  readonly source: Bindable;
  /** u32, the table of the constants of `lut` and `lut-codes`, then the levels (`withLevels`); null without both. */
  readonly table: Bindable | null;
  /** u32 `[rows][ceil(columns / 4)]`, or `[rows][2][...]` for levels. */
  readonly codes: Bindable;
}

export interface IntGeluShape {
  /** All tokens of all images. */
  readonly rows: number;
  readonly columns: number;
  readonly inputBits: 8 | 16;
  /** Width of a code, flag included; 2 to 8. */
  readonly bits: number;
  /** Twin shift m, 0 to 15. */
  readonly shift: number;
  /** Default twin codes. The constants' multiplier then leads to R1, else to uniform codes or to eighths of a level's unit. */
  readonly codes?: NonlinearCodes;
}

export interface IntGeluParams extends IntGeluShape {
  readonly constants: ElementwiseConstants;
}

/**
 * Prepares integer GELU from packed codes to codes (I-ViT, section 3.3; I-BERT, section 3.3; PTQ4ViT, section 3.2).
 *
 * @throws RangeError on a width or count out of range, on constants that could pass int32, or on a buffer too small
 */
export async function intGelu(device: GPUDevice, buffers: IntGeluBuffers, params: IntGeluParams): Promise<Dispatch> {
  const { rows, columns, inputBits, bits, shift, constants, codes = { kind: 'twin' } } = params;
  const own = 'table' in constants ? constants.table.length : 0;
  const level = checkGelu(buffers, params, own);
  checkGeluConstants(constants, inputBits, shift);
  if (constants.method === 'lut-codes' && codes.kind !== 'twin') {
    throw new RangeError(`integer GELU 'lut-codes' writes twin codes, not ${codes.kind}`);
  }
  if ('table' in constants) {
    if (!buffers.table) throw new RangeError(`integer GELU '${constants.method}' needs its table, got none`);
    checkRoom('table', buffers.table, constants.table.length);
  }
  const { WORKGROUP_SIZE } = intGeluKernel.overrides;
  return prepare(
    device,
    intGeluKernel,
    { ...buffers, table: buffers.table ?? buffers.source }, // a binding that the other methods do not read
    { rows, columns, bits, shift, ...integersOf(constants), ...level.params },
    gridFor(device, rows * codeWords(columns), WORKGROUP_SIZE),
    { INPUT_BITS: inputBits, METHOD: INT_GELU_METHOD[constants.method], CODES: level.code },
  );
}

/** Checks what both GELU kernels share; returns what levels, behind `own` entries of the method, add to their parameters. */
export function checkGelu(
  { source, table, codes }: IntGeluBuffers,
  { rows, columns, inputBits, bits, codes: target = { kind: 'twin' } }: IntGeluShape,
  own = 0,
): ReturnType<typeof levelParameters> {
  checkIntegers({ rows, columns }, 1);
  checkBits(bits);
  if (![8, 16].includes(inputBits)) throw new RangeError(`inputBits must be 8 or 16, got ${String(inputBits)}`);
  checkRoom('source', source, rows * Math.ceil((columns * inputBits) / 32));
  const level = levelParameters(target, 'gelu', own, table);
  checkRoom('codes', codes, rows * level.planes * codeWords(columns));
  return level;
}

function integersOf(constants: ElementwiseConstants) {
  const none = { unit: 1, fraction: 0, octaves: 0, limit: 0, bound: 0, constant: 0, places: 0, offset: 0 };
  if (constants.method === 'lut-codes') return { ...none, multiplier: 1, multiplier_shift: 1 };
  const rescale = { multiplier: constants.multiplier, multiplier_shift: constants.multiplierShift };
  switch (constants.method) {
    case 'shift-fixed': {
      const { unit, fraction, octaves } = constants;
      return { ...none, ...rescale, unit, fraction, octaves, limit: Math.ceil((31 * unit) / 2 ** fraction) };
    }
    case 'poly': {
      const { fraction, bound, constant, places, offset } = constants;
      return { ...none, ...rescale, fraction, bound, constant, places, offset };
    }
    case 'lut':
      return { ...none, ...rescale, places: constants.places };
  }
}
