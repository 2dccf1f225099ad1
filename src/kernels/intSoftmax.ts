import exponentials from '../../shaders/lib_int_exp.wgsl?raw';
import fixedPoint from '../../shaders/lib_fixed_point.wgsl?raw';
import levels from '../../shaders/lib_levels.wgsl?raw';
import wgsl from '../../shaders/int_softmax.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkBits, checkIntegers, checkRoom, codeWords } from './codes.ts';
import { levelParameters, type NonlinearCodes } from './levels.ts';
import type { TwinBoundary } from './quantizeTwinSoftmax.ts';
import {
  checkSoftmaxConstants,
  twinThreshold,
  type IntSoftmaxConstants,
  type IntSoftmaxMethod,
} from './softmaxConstants.ts';

export const intSoftmaxKernel = {
  name: 'int_softmax',
  wgsl: `${wgsl}\n${levels}\n${exponentials}\n${fixedPoint}`,
  bindings: { accumulators: 'read', rescales: 'read', table: 'read', codes: 'read_write' },
  params: {
    rows: 'u32',
    columns: 'u32',
    rows_per_head: 'u32',
    heads: 'u32',
    logit_bits: 'u32',
    bits: 'u32',
    shift: 'u32',
    threshold: 'u32',
    unit: 'u32',
    fraction: 'u32',
    octaves: 'u32',
    limit: 'u32',
    linear: 'u32',
    constant: 'u32',
    multiplier: 'u32',
    multiplier_shift: 'u32',
    first_level: 'u32',
    last_level: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 32, LANES: 1, METHOD: 0, CODES: 0 },
} as const satisfies Kernel;

/** `METHOD` of the shader. */
export const INT_SOFTMAX_METHOD: Readonly<Record<IntSoftmaxMethod, number>> = {
  shift: 0,
  'shift-fixed': 1,
  poly: 2,
  lut: 3,
};

export interface IntSoftmaxBuffers {
  /** i32 `[rows][columns]`, Q.K^T; -2^31 is masked. */
  readonly accumulators: Bindable;
  /**
   * u32 `[heads][2]`, the rescale of each head from accumulators to logits, packed by `packDyadics`; without twin ranges followed by
   * those from probabilities (2^-24) to uniform codes or eighths of a level's unit.
   */
  readonly rescales: Bindable;
  /** u32 `[256]`, the table of the constants of `lut`, then the levels (`withLevels`); null without both. */
  readonly table: Bindable | null;
  /** u32 `[rows][ceil(columns / 4)]`, or `[rows][2][...]` for levels. */
  readonly codes: Bindable;
}

export interface IntSoftmaxParams {
  /** All rows of all images and heads, images outermost, tokens innermost. */
  readonly rows: number;
  readonly columns: number;
  /** Consecutive rows of one head. */
  readonly rowsPerHead: number;
  readonly heads: number;
  /** Width of the logits that the rescales lead to, 8 to 16; larger ones saturate. */
  readonly logitBits: number;
  /** Width of a code, flag included; 2 to 8. */
  readonly bits: number;
  /** Twin shift m, 0 to 15. */
  readonly shift: number;
  readonly boundary: TwinBoundary;
  /** Default twin codes. */
  readonly codes?: NonlinearCodes;
  readonly constants: IntSoftmaxConstants;
  /** Lanes that share a row: 1, 2, 4, 8, 16 or 32, the same result with each. Default 1. */
  readonly lanes?: number;
}

/**
 * Prepares integer softmax from accumulators to codes (I-ViT, section 3.3; I-BERT, section 3.4; PTQ4ViT, section 3.2).
 *
 * @throws RangeError on a width or count out of range, on constants that could pass int32, or on a buffer too small
 */
export async function intSoftmax(
  device: GPUDevice,
  buffers: IntSoftmaxBuffers,
  params: IntSoftmaxParams,
): Promise<Dispatch> {
  const { rows, columns, rowsPerHead, heads, logitBits, bits, shift, boundary, constants, lanes = 1 } = params;
  const { codes = { kind: 'twin' } } = params;
  checkBits(bits);
  checkIntegers({ rows, columns, rowsPerHead, heads }, 1);
  if (!Number.isInteger(logitBits) || logitBits < 8 || logitBits > 16) {
    throw new RangeError(`logitBits must be an integer in 8..16, got ${logitBits}`);
  }
  if (![1, 2, 4, 8, 16, 32].includes(lanes))
    throw new RangeError(`lanes must be a power of two in 1..32, got ${lanes}`);
  checkSoftmaxConstants(constants, columns);
  checkRoom('accumulators', buffers.accumulators, rows * columns);
  const level = levelParameters(codes, 'softmax', constants.method === 'lut' ? 256 : 0, buffers.table);
  checkRoom('rescales', buffers.rescales, (codes.kind === 'twin' ? 2 : 4) * heads);
  checkRoom('codes', buffers.codes, rows * level.planes * codeWords(columns));
  if (constants.method === 'lut') {
    if (!buffers.table) throw new RangeError(`integer softmax 'lut' needs a table of 256 entries, got none`);
    checkRoom('table', buffers.table, 256);
  }
  const threshold = codes.kind === 'twin' ? twinThreshold(shift, bits, boundary) : 0;
  const { WORKGROUP_SIZE } = intSoftmaxKernel.overrides;
  return prepare(
    device,
    intSoftmaxKernel,
    { ...buffers, table: buffers.table ?? buffers.rescales }, // a binding that the other methods do not read
    {
      rows,
      columns,
      rows_per_head: rowsPerHead,
      heads,
      logit_bits: logitBits,
      bits,
      shift,
      threshold,
      ...integersOf(constants),
      ...level.params,
    },
    gridFor(device, rows * lanes, WORKGROUP_SIZE),
    { LANES: lanes, METHOD: INT_SOFTMAX_METHOD[constants.method], CODES: level.code },
  );
}

function integersOf(constants: IntSoftmaxConstants) {
  const none = {
    unit: 1,
    fraction: 0,
    octaves: 0,
    limit: 0,
    linear: 0,
    constant: 0,
    multiplier: 0,
    multiplier_shift: 0,
  };
  switch (constants.method) {
    case 'shift':
      return { ...none, unit: constants.unit };
    case 'shift-fixed': {
      const { unit, fraction, octaves } = constants;
      return { ...none, unit, fraction, octaves, limit: Math.ceil((31 * unit) / 2 ** fraction) };
    }
    case 'poly': {
      const { unit, fraction, linear, constant, multiplier, multiplierShift } = constants;
      const limit = Math.ceil((30 * unit) / 2 ** fraction);
      return { ...none, unit, fraction, limit, linear, constant, multiplier, multiplier_shift: multiplierShift };
    }
    case 'lut':
      return { ...none, multiplier: constants.multiplier, multiplier_shift: constants.multiplierShift };
  }
}
