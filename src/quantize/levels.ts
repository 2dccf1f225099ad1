import { LEVEL_LIMITS, PLANE_SHIFT, type LevelOperand } from '../kernels/quantizeLevels.ts';
import { GELU_DEPTH } from '../kernels/quantizeTwinGelu.ts';
import type { LevelsQuantizer } from './quantizer.ts';

/**
 * Logarithmic levels: 0, and above it the largest distinct integers of `round(top * 2^(-k octaves))`, k = 0, 1, ... (AdaLog,
 * section 3, with the nearest level in place of the nearest logarithm). After GELU some levels are negative, evenly spread over
 * its values there.
 */
export interface LevelShape {
  /** Base-2 logarithm of the ratio of a level to the next lower one. */
  readonly octaves: number;
  /** Levels below 0; none after softmax. */
  readonly negatives: number;
}

/** AdaLog's bases are `2^(q / 37)` with an integer q. */
export const BASE_ROOT = 37;

/**
 * Largest level whose product cannot wrap an int32 accumulator: `level depth 2^(otherBits - 1) < 2^31`, and what two planes hold.
 */
export function largestLevel(operand: LevelOperand, otherBits: number, depth: number): number {
  return Math.min(LEVEL_LIMITS[operand].high, Math.ceil(2 ** (32 - otherBits) / depth) - 1);
}

/**
 * Levels up to the value `largest`, in the finest steps that `limit` (of `largestLevel`) and the depth of GELU allow.
 *
 * @throws RangeError when `largest` is not positive and finite
 */
export function logLevels(
  { operand, family, bits }: Pick<LevelsQuantizer, 'operand' | 'family' | 'bits'>,
  { octaves, negatives }: LevelShape,
  largest: number,
  limit: number,
): LevelsQuantizer {
  if (!(largest > 0 && largest < Infinity)) {
    throw new RangeError(`the largest value must be positive and finite, got ${largest}`);
  }
  const lowest = operand === 'gelu' ? GELU_DEPTH / (2 ** PLANE_SHIFT - 1) : 2 ** -126;
  const step = Math.fround(Math.max(largest / limit, lowest));
  const top = Math.min(limit, Math.max(1, Math.round(largest / step)));
  const below = new Set<number>();
  for (let i = negatives; i >= 1; i--) {
    const level = Math.round(((i / (negatives + 0.5)) * GELU_DEPTH) / step);
    if (level > 0) below.add(-level);
  }
  const above = new Set<number>();
  for (let k = 0; above.size < 2 ** bits - 1 - below.size; k++) {
    const level = Math.round(top * 2 ** (-k * octaves));
    if (level < 1) break;
    above.add(level);
  }
  return { type: 'levels', operand, family, bits, step, levels: [...below, 0, ...[...above].reverse()] };
}
