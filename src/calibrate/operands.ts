import {
  initialScale,
  maxTwinShift,
  type ActivationQuantizer,
  type TwinSoftmaxQuantizer,
  type UniformQuantizer,
} from '../quantize/quantizer.ts';
import { tieGelu } from '../kernels/quantizeTwinGelu.ts';
import { codeRange, scaleOf } from '../quantize/codeRange.ts';
import { largestLevel } from '../quantize/levels.ts';
import type { ScoreGroups } from './layerScorer.ts';
import { levelSpace, type LevelSpace } from './levelSearch.ts';
import type { LayerOptions, ShapedQuantizer } from './options.ts';

/** What decides the quantizers of a layer before any search. */
export interface LayerPlan {
  readonly kind: 'linear' | 'matmul';
  readonly operand: 'plain' | 'post-gelu' | 'post-softmax' | 'pixels';
  readonly aBits: number;
  readonly bBits: number;
  /** Equal parts of a weight's rows with scales of their own when weights are quantized per tensor. */
  readonly parts: number;
  /** How many times the candidates of a large layer `coarse-to-fine` looks at. */
  readonly effort: number;
}

/** Largest magnitudes of both operands, per group of their initial quantizers. */
export interface LayerRanges {
  readonly a: readonly number[];
  /** Smallest and largest value of the left operand. */
  readonly aEnds: { readonly low: number; readonly high: number };
  /** Root mean square of the left operand. */
  readonly aRms: number;
  readonly b: readonly number[];
  /** Root mean square of the output's gradient; 1 with metrics that do not use it. */
  readonly gradientRms: number;
}

/** An operand whose scales are searched: how factors become a quantizer, and whose scores decide them. */
export interface SearchedOperand<Quantizer> {
  readonly groups: number;
  readonly scoreGroups: ScoreGroups;
  readonly initial: Quantizer;
  readonly quantizer: (factors: Float64Array) => Quantizer;
}

/** The ways in which a left operand can be searched, one for each family of quantizers that its options allow. */
export type LeftFamily =
  | { readonly by: 'nothing'; readonly initial: ActivationQuantizer }
  | ({ readonly by: 'factors' } & SearchedOperand<ActivationQuantizer>)
  | { readonly by: 'shifts'; readonly initial: TwinSoftmaxQuantizer }
  | { readonly by: 'levels'; readonly space: LevelSpace };

/** Largest twin shift of post-softmax codes that is tried. */
const LARGEST_SOFTMAX_SHIFT = 12;

/** What `best` compares, the cheapest first. */
const FAMILIES = ['uniform', 'twin', 'log2', 'adaptive-log'] as const;

/** The families that the options allow; `depth` bounds twin shifts and levels. */
export function leftFamilies(plan: LayerPlan, ranges: LayerRanges, options: LayerOptions, depth: number): LeftFamily[] {
  if (plan.operand === 'pixels') return [{ by: 'nothing', initial: { type: 'pixels', bits: 8 } }];
  if (plan.operand === 'plain') return [uniformFamily(plan, ranges, options)];
  const operand = plan.operand === 'post-softmax' ? 'softmax' : 'gelu';
  return shapedFamilies(options[operand], plan, ranges).map((family) => {
    switch (family) {
      case 'uniform':
        return uniformFamily(plan, ranges, options);
      case 'twin':
        return operand === 'softmax'
          ? twinSoftmaxFamily(plan, options, depth)
          : twinGeluFamily(plan, ranges, options, depth);
      case 'log2':
      case 'adaptive-log': {
        const kind = { operand, family, bits: plan.aBits } as const;
        const limit = largestLevel(operand, plan.bBits, depth);
        return { by: 'levels', space: levelSpace(kind, Math.max(...ranges.a), limit, options) };
      }
      case 'published-code':
        throw new Error('quantizers of the published code have no integer codes to search');
    }
  });
}

/** Twin ranges of 8 bits hold values up to this many times their root mean square well; a GELU output far beyond makes them coarse. */
const LARGEST_OVER_RMS = 64;

/**
 * The families that are searched. `auto` is twin ranges, whose products cost half as much as those of levels, at 8 bits as long as
 * the largest value is no outlier, and `adaptive-log` otherwise.
 */
function shapedFamilies(
  wanted: ShapedQuantizer,
  { aBits, operand }: LayerPlan,
  { a, aRms }: LayerRanges,
): readonly Exclude<ShapedQuantizer, 'auto' | 'best'>[] {
  if (wanted === 'best') return FAMILIES;
  if (wanted !== 'auto') return [wanted];
  const hasOutlier = operand === 'post-gelu' && Math.max(...a) > LARGEST_OVER_RMS * aRms;
  return [aBits < 8 || hasOutlier ? 'adaptive-log' : 'twin'];
}

type FromScales = (scales: readonly number[]) => ActivationQuantizer;

/** Uniform codes; with a zero point the ends of the values are drawn in together, so that it belongs to every candidate. */
function uniformFamily(plan: LayerPlan, ranges: LayerRanges, options: LayerOptions): LeftFamily {
  const bits = plan.aBits;
  const restricted = restriction(options);
  const granularity = scalesByHead(plan, options) ? 'head' : 'tensor';
  const start = ranges.a.map((largest) => initialScale(largest, bits));
  if (!hasZeroPoint(plan, options)) {
    const fromScales: FromScales = (scales) => ({ type: 'uniform', bits, granularity, scales, ...restricted });
    return scaledFamily(plan, options, start, fromScales);
  }
  const { scale, zero } = scaleOf(ranges.aEnds, codeRange(bits, restricted.restricted), false);
  const fromScales: FromScales = (scales) => ({
    ...{ type: 'uniform', bits, granularity, scales, ...restricted },
    zeroPoint: zero,
  });
  return scaledFamily(plan, options, [scale], fromScales);
}

/** Whether codes of the left operand stand off zero by a zero point. */
export function hasZeroPoint({ kind, operand }: LayerPlan, { activationOffset, gelu }: LayerOptions): boolean {
  const uniform = operand === 'plain' || (operand === 'post-gelu' && gelu === 'uniform');
  return activationOffset === 'zero-point' && kind === 'linear' && uniform;
}

/** Whether q, k, v have a scale for each head. */
export function scalesByHead({ kind }: LayerPlan, { attentionGranularity }: LayerOptions): boolean {
  return kind === 'matmul' && attentionGranularity === 'head';
}

/** What the option integerRange adds to a quantizer. */
export function restriction({ integerRange }: LayerOptions): { readonly restricted?: true } {
  return integerRange === 'restricted' ? { restricted: true } : {};
}

function scaledFamily(
  plan: LayerPlan,
  options: LayerOptions,
  start: readonly number[],
  fromScales: FromScales,
): LeftFamily {
  const groups = start.length;
  const quantizer = (factors: Float64Array) =>
    fromScales(start.map((scale, g) => Math.fround(scale * (factors[g] as number))));
  return {
    by: 'factors',
    groups,
    scoreGroups: leftScoreGroups(plan, options),
    initial: quantizer(new Float64Array(groups).fill(1)),
    quantizer,
  };
}

/** Whose scores decide a left operand. */
export function leftScoreGroups(plan: LayerPlan, options: LayerOptions): ScoreGroups {
  return scalesByHead(plan, options) ? { by: 'heads' } : { by: 'columns', parts: 1 };
}

function twinGeluFamily(plan: LayerPlan, ranges: LayerRanges, options: LayerOptions, depth: number): LeftFamily {
  const bits = plan.aBits;
  const limit = maxTwinShift(bits, plan.bBits, depth);
  const start = ranges.a.map((largest) => initialScale(largest, bits));
  return scaledFamily(plan, options, start, ([scaleR2]) => {
    const scale = scaleR2 as number;
    return { type: 'twin-gelu', bits, scaleR2: scale, shift: tieGelu(scale, bits, limit).shift };
  });
}

function twinSoftmaxFamily(plan: LayerPlan, options: LayerOptions, depth: number): LeftFamily {
  const shift = Math.min(4, maxTwinShift(plan.aBits, plan.bBits, depth));
  return { by: 'shifts', initial: twinSoftmax(plan.aBits, shift, options) };
}

export function twinSoftmax(bits: number, shift: number, { twinBoundary }: LayerOptions): TwinSoftmaxQuantizer {
  return { type: 'twin-softmax', bits, shift, boundary: twinBoundary };
}

/** All shifts that are allowed; in later rounds of `coarse-to-fine` only the current one and its neighbours. */
export function softmaxShifts(
  plan: LayerPlan,
  depth: number,
  options: LayerOptions,
  round: number,
  current: number,
): number[] {
  const limit = Math.min(LARGEST_SOFTMAX_SHIFT, maxTwinShift(plan.aBits, plan.bBits, depth));
  const all = Array.from({ length: limit + 1 }, (_, shift) => shift);
  return options.search === 'exhaustive' || round === 0 ? all : all.filter((shift) => Math.abs(shift - current) <= 1);
}

/** The right operand: q, k or v of attention, or a weight. */
export function rightOperand(
  plan: LayerPlan,
  ranges: LayerRanges,
  options: LayerOptions,
): SearchedOperand<UniformQuantizer> {
  const groups = ranges.b.length;
  const start = ranges.b.map((largest) => initialScale(largest, plan.bBits));
  const granularity =
    plan.kind === 'linear' ? options.weightGranularity : scalesByHead(plan, options) ? 'head' : 'tensor';
  if (granularity === 'block') throw new Error('blocks of a weight have no integer codes to search');
  const quantizer = (factors: Float64Array): UniformQuantizer => ({
    type: 'uniform',
    bits: plan.bBits,
    granularity,
    scales: start.map((scale, g) => Math.fround(scale * (factors[g] as number))),
    ...restriction(options),
  });
  const scoreGroups: ScoreGroups = granularity === 'head' ? { by: 'heads' } : { by: 'columns', parts: groups };
  return { groups, scoreGroups, initial: quantizer(new Float64Array(groups).fill(1)), quantizer };
}
