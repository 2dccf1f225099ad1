import { tieGelu } from '../../kernels/quantizeTwinGelu.ts';
import { codeRange, scaleOf } from '../../quantize/codeRange.ts';
import type { LeftQuantizer, RightQuantizer } from '../../quantize/floatQuantizer.ts';
import { initialScale, maxTwinShift } from '../../quantize/quantizer.ts';
import { hasZeroPoint, restriction, scalesByHead, type LayerPlan } from '../operands.ts';
import type { LayerOptions } from '../options.ts';
import type { Interval } from './distribution.ts';

/** Where the values of a layer's left operand fall into groups with scales of their own: heads of attention, or runs of input features. */
export function leftGroups(plan: LayerPlan, options: LayerOptions, heads: number): { heads: number; runs: number } {
  if (plan.kind === 'matmul') return { heads: scalesByHead(plan, options) ? heads : 1, runs: 1 };
  return { heads: 1, runs: options.activationBlocks };
}

/** Runs of output and of input features of a weight that have a scale of their own. */
export function weightBlocks(
  plan: LayerPlan,
  options: LayerOptions,
  columns: number,
): { rows: number; columns: number } {
  switch (options.weightGranularity) {
    case 'tensor':
      return { rows: 1, columns: 1 };
    case 'part':
      return { rows: plan.parts, columns: 1 };
    case 'channel':
      return { rows: columns, columns: 1 };
    case 'block':
      return { rows: options.weightRowBlocks, columns: options.weightColumnBlocks };
  }
}

/** Least length of a row of probabilities that its fine range is made for, in means of the row. */
const FINE_REACH = 8;

/**
 * A power of two that holds most probabilities of rows of `depth`: the least 2^-m that is at least 8 means of a row, m at most
 * `limit`. 4 for 197 tokens, where searches of DeiT-Tiny choose 4 or 5.
 */
export function fineShift(depth: number, limit: number): number {
  let shift = 0;
  while (shift < limit && 2 ** -(shift + 1) >= FINE_REACH / depth) shift++;
  return shift;
}

/** The left quantizer that holds `intervals`, one for each head or run of input features; its options are those of `checkLayerOptions`. */
export function leftFromRanges(
  plan: LayerPlan,
  options: LayerOptions,
  depth: number,
  intervals: readonly Interval[],
): LeftQuantizer {
  const bits = plan.aBits;
  const restricted = restriction(options);
  const codes = codeRange(bits, restricted.restricted);
  const scales = intervals.map((interval) => scaleOf(interval, codes, true).scale);
  if (plan.operand === 'pixels') return { type: 'pixels', bits: 8 };
  if (plan.operand === 'post-softmax' && options.softmax !== 'uniform') {
    const limit = maxTwinShift(bits, plan.bBits, depth);
    if (options.softmax === 'published-code')
      return { type: 'published-softmax', bits, split: 2 ** -fineShift(depth, 19) };
    return { type: 'twin-softmax', bits, shift: fineShift(depth, limit), boundary: options.twinBoundary };
  }
  if (plan.operand === 'post-gelu' && options.gelu !== 'uniform') {
    const positive = intervals.map(({ high }) => initialScale(Math.max(high, 0), bits));
    if (options.gelu === 'published-code')
      return { type: 'published-gelu', bits, scales: positive, negativeScale: publishedNegativeScale(bits) };
    const [scaleR2] = positive as [number];
    return {
      type: 'twin-gelu',
      bits,
      scaleR2,
      shift: tieGelu(scaleR2, bits, maxTwinShift(bits, plan.bBits, depth)).shift,
    };
  }
  if (options.activationScaling === 'per-token' && plan.kind === 'linear')
    return { type: 'per-token', bits, ...restricted };
  if (plan.kind === 'linear' && intervals.length > 1) {
    return { type: 'block', bits, rowBlocks: 1, columnBlocks: intervals.length, scales, ...restricted };
  }
  if (hasZeroPoint(plan, options)) {
    const { scale, zero } = scaleOf(intervals[0] as Interval, codes, false);
    return { type: 'uniform', bits, granularity: 'tensor', scales: [scale], ...restricted, zeroPoint: zero };
  }
  const granularity = scalesByHead(plan, options) ? 'head' : 'tensor';
  return { type: 'uniform', bits, granularity, scales, ...restricted };
}

/** `quantizer` with other scales, one for each of its own; twin ranges after GELU are tied anew. */
export function leftFromScales(quantizer: LeftQuantizer, scales: readonly number[], shiftLimit: number): LeftQuantizer {
  switch (quantizer.type) {
    case 'uniform':
    case 'block':
    case 'published-gelu':
      return { ...quantizer, scales };
    case 'twin-gelu': {
      const [scaleR2] = scales as [number];
      return { ...quantizer, scaleR2, shift: tieGelu(scaleR2, quantizer.bits, shiftLimit).shift };
    }
    default:
      return quantizer;
  }
}

/** The scale of negative values in the published code, one step less than would hold their minimum exactly. */
export function publishedNegativeScale(bits: number): number {
  return Math.fround(0.16997124254703522 / 2 ** (bits - 1));
}

/** The right quantizer of `scales`: of a weight by row, then column block, or of attention. */
export function rightFromScales(plan: LayerPlan, options: LayerOptions, scales: readonly number[]): RightQuantizer {
  const bits = plan.bBits;
  const restricted = restriction(options);
  if (plan.kind === 'matmul') {
    return {
      type: 'uniform',
      bits,
      granularity: scalesByHead(plan, options) ? 'head' : 'tensor',
      scales,
      ...restricted,
    };
  }
  const { weightGranularity: granularity, weightRowBlocks: rowBlocks, weightColumnBlocks: columnBlocks } = options;
  if (granularity === 'block') return { type: 'block', bits, rowBlocks, columnBlocks, scales, ...restricted };
  return { type: 'uniform', bits, granularity, scales, ...restricted };
}
