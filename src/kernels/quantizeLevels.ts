import wgsl from '../../shaders/quantize_levels.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkBits, checkIntegers, checkRoom, codeWords } from './codes.ts';

export const quantizeLevelsKernel = {
  name: 'quantize_levels',
  wgsl,
  bindings: { source: 'read', thresholds: 'read', planes: 'read', codes: 'read_write' },
  params: { candidates: 'u32', rows: 'u32', depth: 'u32', offset: 'u32', entries: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

/** Bits of the lower plane of a level: the twin shift of its codes. */
export const PLANE_SHIFT = 7;

/** Integers that two planes can hold, by the meaning of their codes: `128 hi + lo` or `128 hi - lo`, hi and lo in 0..127. */
export const LEVEL_LIMITS = { softmax: { low: 0, high: 16_383 }, gelu: { low: -127, high: 16_256 } } as const;

export type LevelOperand = keyof typeof LEVEL_LIMITS;

/** How integers are told apart: `levels` ascending, in units of `step`. */
export interface LevelTable {
  readonly operand: LevelOperand;
  readonly bits: number;
  readonly step: number;
  readonly levels: readonly number[];
}

/** The twin codes of both planes of a level; 0 is code 0 in both. */
export function planeCodes(level: number, operand: LevelOperand): { readonly upper: number; readonly lower: number } {
  const hi = operand === 'softmax' ? Math.floor(level / 2 ** PLANE_SHIFT) : Math.ceil(level / 2 ** PLANE_SHIFT);
  return { upper: hi > 0 ? 0x80 + hi : 0, lower: Math.abs(level - hi * 2 ** PLANE_SHIFT) };
}

/** Where level i ends and level i + 1 begins: the f32 of their midpoint times the step; a value there takes the upper one. */
export function levelThresholds({ step, levels }: Pick<LevelTable, 'step' | 'levels'>): number[] {
  return levels.slice(1).map((level, i) => Math.fround(((level + (levels[i] as number)) / 2) * step));
}

/**
 * The `2^bits` thresholds and plane codes of a table; entries past the last level repeat it.
 *
 * @throws RangeError on no levels, more than 2^bits, one that the planes cannot hold, or levels that do not ascend
 */
export function levelEntries(table: LevelTable): { readonly thresholds: number[]; readonly planes: number[] } {
  const { operand, bits, levels } = table;
  checkBits(bits);
  const entries = 2 ** bits;
  if (levels.length < 1 || levels.length > entries) {
    throw new RangeError(`${bits} bits hold 1 to ${entries} levels, got ${levels.length}`);
  }
  const { low, high } = LEVEL_LIMITS[operand];
  levels.forEach((level, i) => {
    if (!Number.isInteger(level) || level < low || level > high) {
      throw new RangeError(`levels of ${operand} are integers in ${low}..${high}, got ${level}`);
    }
    if (i > 0 && level <= (levels[i - 1] as number)) {
      throw new RangeError(`levels must ascend, got ${levels[i - 1]} before ${level}`);
    }
  });
  const last = levels.length - 1;
  const thresholds = levelThresholds(table);
  const padded = Array.from({ length: entries }, (_, i) => thresholds[i] ?? LARGEST_F32);
  const planes = Array.from({ length: entries }, (_, i) => {
    const { upper, lower } = planeCodes(levels[Math.min(i, last)] as number, operand);
    return upper + 256 * lower;
  });
  return { thresholds: padded, planes };
}

const LARGEST_F32 = (2 - 2 ** -23) * 2 ** 127;

export interface QuantizeLevelsBuffers {
  /** f32 `[rows][depth]` from element `offset`. */
  readonly source: Bindable;
  /** f32 `[candidates][2^bits]`, of `levelEntries`. */
  readonly thresholds: Bindable;
  /** u32 `[candidates][2^bits]`, of `levelEntries`. */
  readonly planes: Bindable;
  /** u32 `[candidates][rows][2][ceil(depth / 4)]`. */
  readonly codes: Bindable;
}

export interface QuantizeLevelsParams {
  readonly candidates: number;
  /** All rows of all images and heads. */
  readonly rows: number;
  readonly depth: number;
  /** Width of an index into the levels; 2 to 8. */
  readonly bits: number;
  /** First element of the source. Default 0. */
  readonly offset?: number;
}

/** Depth of the twin codes that stand for `depth` levels: both planes, each padded to whole words. */
export function planesDepth(depth: number): number {
  return 2 * 4 * codeWords(depth);
}

/**
 * Prepares quantization to the nearest of a table of levels, written as two planes of twin codes (AdaLog, section 3).
 *
 * @throws RangeError on a bad width, count, or a buffer too small
 */
export async function quantizeLevels(
  device: GPUDevice,
  { source, thresholds, planes, codes }: QuantizeLevelsBuffers,
  { candidates, rows, depth, bits, offset = 0 }: QuantizeLevelsParams,
): Promise<Dispatch> {
  checkBits(bits);
  checkIntegers({ candidates, rows, depth }, 1);
  checkIntegers({ offset }, 0);
  const entries = 2 ** bits;
  const words = candidates * rows * codeWords(depth);
  checkRoom('source', source, offset + rows * depth);
  checkRoom('thresholds', thresholds, candidates * entries);
  checkRoom('planes', planes, candidates * entries);
  checkRoom('codes', codes, 2 * words);
  return prepare(
    device,
    quantizeLevelsKernel,
    { source, thresholds, planes, codes },
    { candidates, rows, depth, offset, entries },
    gridFor(device, words, quantizeLevelsKernel.overrides.WORKGROUP_SIZE),
  );
}
