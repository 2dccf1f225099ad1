import type { BufferScope } from '../gpu/buffers.ts';
import type { GpuContext } from '../quantize/context.ts';
import {
  initialScale,
  maxTwinShift,
  type ActivationQuantizer,
  type TwinSoftmaxQuantizer,
  type UniformQuantizer,
} from '../quantize/quantizer.ts';
import { tieGelu } from '../kernels/quantizeTwinGelu.ts';
import { CalibrationError } from './errors.ts';
import {
  imageCount,
  isRowMetric,
  metricOf,
  scoreCandidates,
  type LayerProblem,
  type ScoreGroups,
} from './layerScorer.ts';
import type { CalibrationOptions } from './options.ts';
import type { LayerRecipe } from './recipe.ts';
import { SAMPLE_SHARE, sampleRows } from './rowSample.ts';
import {
  findValleys,
  fit,
  roundCost,
  search,
  settle,
  valleysCost,
  type Choice,
  type Evaluate,
  type Evaluators,
  type Landscape,
} from './search.ts';

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
  readonly b: readonly number[];
  /** Root mean square of the output's gradient; 1 with metrics that do not use it. */
  readonly gradientRms: number;
}

/** Largest twin shift of post-softmax codes that is tried. */
const LARGEST_SOFTMAX_SHIFT = 12;

/** What `searchLayer` will cost, in candidates scored on all rows: for progress, before any is run. */
export function plannedCandidates(plan: LayerPlan, depth: number, given: CalibrationOptions): number {
  const options = searchOptions(plan, given);
  let count = 0;
  for (let round = 0; round < roundsOf(plan, options); round++) {
    count += roundCost(options, rightLandscape(plan), round, SAMPLE_SHARE);
    if (plan.operand === 'pixels') continue;
    count += isTwinSoftmax(plan, options)
      ? softmaxShifts(plan, depth, options, round, 1).length
      : round === 0 && options.search === 'coarse-to-fine'
        ? valleysCost(options, SAMPLE_SHARE)
        : roundCost(options, 'activation', round, SAMPLE_SHARE);
  }
  return count;
}

/**
 * Chooses the scales of both operands of a layer by alternating search (PTQ4ViT, section 3.4): the right operand with the left
 * one fixed, then the left one, for the rounds of the options.
 *
 * @throws CalibrationError naming the layer when its gradient is zero everywhere or a score is not finite
 */
export async function searchLayer(
  context: GpuContext,
  problem: LayerProblem,
  plan: LayerPlan,
  ranges: LayerRanges,
  given: CalibrationOptions,
  scope: BufferScope,
  onWork: (candidates: number) => void,
): Promise<LayerRecipe> {
  if (!(ranges.gradientRms > 0 && ranges.gradientRms < Infinity)) {
    throw new CalibrationError(
      `${problem.name}: the gradient of its output has a root mean square of ${ranges.gradientRms}; the images tell nothing about this layer, use other or more images`,
    );
  }
  const options = searchOptions(plan, given);
  const shiftLimit = maxTwinShift(plan.aBits, plan.bBits, problem.geometry.depth);
  const left = leftOperand(plan, ranges, options, shiftLimit);
  const right = rightOperand(plan, problem, ranges, options);
  const sample =
    options.search === 'coarse-to-fine' && problem.metric === 'hessian'
      ? await sampleRows(context, problem, scope)
      : undefined;
  const scorer = (on: LayerProblem, share: number): ScorePairs => {
    return (lefts, rights, groups) => {
      const work = share * Math.max(lefts.length, rights.length);
      return scoreCandidates(context, on, lefts, rights, groups, (part) => onWork(part * work));
    };
  };
  const full = sample?.exact ? scorer(sample.problem, sample.share) : scorer(problem, 1);
  const screen = sample && !sample.exact ? scorer(sample.problem, sample.share) : undefined;
  const evaluators: MakeEvaluators = (score) => ({
    full: score(full),
    ...(screen ? { screen: score(screen) } : {}),
  });
  let a = left.initial;
  let b = right.initial;
  let aFactors = new Float64Array(left.groups).fill(1);
  let bFactors = new Float64Array(right.groups).fill(1);
  let score = Infinity;
  for (let round = 0; round < roundsOf(plan, options); round++) {
    const bChoice = await search(
      evaluators((scored) => (factors) => scored([a], factors.map(right.quantizer), right.scoreGroups)),
      right.groups,
      options,
      rightLandscape(plan),
      round,
      bFactors,
    );
    bFactors = finiteChoice(problem.name, bChoice);
    b = right.quantizer(bFactors);
    score = sum(bChoice.scores);
    if (plan.operand === 'pixels') continue;
    if (a.type === 'twin-softmax') {
      const shifts = softmaxShifts(plan, problem.geometry.depth, options, round, a.shift);
      const quantizers = shifts.map((shift) => twinSoftmax(plan.aBits, shift, options));
      const scores = await full(quantizers, [b], { by: 'columns', parts: 1 });
      const best = lowest(scores.map((total) => total[0] as number));
      a = quantizers[best] as TwinSoftmaxQuantizer;
      score = scores[best]?.[0] as number;
      if (!Number.isFinite(score)) throw notFinite(problem.name, score);
      continue;
    }
    const forLeft = evaluators((scored) => (factors) => scored(factors.map(left.quantizer), [b], left.scoreGroups));
    if (round === 0 && options.search === 'coarse-to-fine') {
      ({ aFactors, bFactors, score } = await followValleys(evaluators, full, left, right, options, forLeft, bFactors));
      a = left.quantizer(aFactors);
      b = right.quantizer(bFactors);
      continue;
    }
    const aChoice = await search(forLeft, left.groups, options, 'activation', round, aFactors);
    aFactors = finiteChoice(problem.name, aChoice);
    a = left.quantizer(aFactors);
    score = sum(aChoice.scores);
  }
  return {
    name: problem.name,
    kind: plan.kind,
    a,
    b,
    score: score / scoreUnit(problem, ranges, plan.operand === 'pixels' ? right.scoreGroups : left.scoreGroups),
    ...(a.type === 'twin-softmax' || a.type === 'twin-gelu' ? { maxShift: shiftLimit } : {}),
  };
}

/** Scores candidates of one operand, or of the other, against a shared one; see `scoreCandidates`. */
type ScorePairs = (
  lefts: readonly ActivationQuantizer[],
  rights: readonly UniformQuantizer[],
  groups: ScoreGroups,
) => Promise<Float64Array[]>;

/** Turns a way to score factors into its two forms, on all rows and on the sample. */
type MakeEvaluators = (score: (scored: ScorePairs) => Evaluate) => Evaluators;

/**
 * Follows the deepest valleys of the left operand: the right one is fitted to each, the left one settles in it, and all rows decide,
 * group by group. Alternating alone would stay in the valley that it begins in, because a fitted operand favours it.
 */
async function followValleys(
  evaluators: MakeEvaluators,
  full: ScorePairs,
  left: SearchedOperand<ActivationQuantizer>,
  right: SearchedOperand<UniformQuantizer>,
  options: CalibrationOptions,
  forLeft: Evaluators,
  bFactors: Float64Array,
): Promise<{ aFactors: Float64Array<ArrayBuffer>; bFactors: Float64Array<ArrayBuffer>; score: number }> {
  const followed: { a: Float64Array; b: Float64Array; scores: Float64Array }[] = [];
  for (const valley of await findValleys(forLeft, left.groups, options)) {
    const fixed = left.quantizer(valley);
    const forRight = evaluators(
      (scored) => (factors) => scored([fixed], factors.map(right.quantizer), right.scoreGroups),
    );
    const { factors: fitted } = await fit(forRight, options, bFactors);
    const other = right.quantizer(fitted);
    const toFitted = evaluators(
      (scored) => (factors) => scored(factors.map(left.quantizer), [other], left.scoreGroups),
    );
    const { factors: bottom } = await settle(toFitted, options, valley);
    const [scores] = await full([left.quantizer(bottom)], [other], left.scoreGroups);
    followed.push({ a: bottom, b: fitted, scores: scores as Float64Array });
  }
  const deepest = Array.from({ length: left.groups }, (_, g) =>
    lowest(followed.map(({ scores }) => scores[g] as number)),
  );
  return {
    aFactors: Float64Array.from(deepest, (v, g) => followed[v]?.a[g] as number),
    // All channels of a weight have one left operand; operands of attention belong to the same head.
    bFactors: Float64Array.from(
      bFactors,
      (_, g) => followed[deepest[left.groups === 1 ? 0 : g] as number]?.b[g] as number,
    ),
    score: deepest.reduce((total, v, g) => total + (followed[v]?.scores[g] as number), 0),
  };
}

/** An operand whose scales are searched: how factors become a quantizer, and whose scores decide them. */
interface SearchedOperand<Quantizer> {
  readonly groups: number;
  readonly scoreGroups: ScoreGroups;
  readonly initial: Quantizer;
  readonly quantizer: (factors: Float64Array) => Quantizer;
}

function leftOperand(
  plan: LayerPlan,
  ranges: LayerRanges,
  options: CalibrationOptions,
  shiftLimit: number,
): SearchedOperand<ActivationQuantizer> {
  const bits = plan.aBits;
  const perHead = plan.kind === 'matmul';
  const groups = ranges.a.length;
  const scoreGroups: ScoreGroups = perHead ? { by: 'heads' } : { by: 'columns', parts: 1 };
  const start = ranges.a.map((largest) => initialScale(largest, bits));
  const scaled = (factors: Float64Array) => start.map((scale, g) => Math.fround(scale * (factors[g] as number)));
  const quantizer = (factors: Float64Array): ActivationQuantizer => {
    if (plan.operand === 'post-gelu' && options.gelu === 'twin') {
      const [scaleR2] = scaled(factors) as [number];
      return { type: 'twin-gelu', bits, scaleR2, shift: tieGelu(scaleR2, bits, shiftLimit).shift };
    }
    return { type: 'uniform', bits, granularity: perHead ? 'head' : 'tensor', scales: scaled(factors) };
  };
  const ones = new Float64Array(groups).fill(1);
  if (plan.operand === 'pixels') return { groups, scoreGroups, initial: { type: 'pixels', bits: 8 }, quantizer };
  if (isTwinSoftmax(plan, options)) {
    const shift = Math.min(4, shiftLimit);
    return { groups, scoreGroups, initial: twinSoftmax(bits, shift, options), quantizer };
  }
  return { groups, scoreGroups, initial: quantizer(ones), quantizer };
}

function rightOperand(
  plan: LayerPlan,
  problem: LayerProblem,
  ranges: LayerRanges,
  options: CalibrationOptions,
): SearchedOperand<UniformQuantizer> {
  const groups = ranges.b.length;
  const start = ranges.b.map((largest) => initialScale(largest, plan.bBits));
  const granularity = plan.kind === 'matmul' ? 'head' : options.weightGranularity;
  const quantizer = (factors: Float64Array): UniformQuantizer => ({
    type: 'uniform',
    bits: plan.bBits,
    granularity,
    scales: start.map((scale, g) => Math.fround(scale * (factors[g] as number))),
  });
  const scoreGroups: ScoreGroups = plan.kind === 'matmul' ? { by: 'heads' } : { by: 'columns', parts: groups };
  return { groups, scoreGroups, initial: quantizer(new Float64Array(groups).fill(1)), quantizer };
}

/** Pixels are exact: nothing alternates, and an exhaustive search says all in one round. */
function roundsOf(plan: LayerPlan, options: CalibrationOptions): number {
  return plan.operand === 'pixels' && options.search === 'exhaustive' ? 1 : options.rounds;
}

/** `coarse-to-fine` looks at more candidates where they cost little. */
function searchOptions({ effort }: LayerPlan, options: CalibrationOptions): CalibrationOptions {
  return options.search === 'coarse-to-fine' ? { ...options, candidates: effort * options.candidates } : options;
}

function rightLandscape(plan: LayerPlan): Landscape {
  if (plan.kind === 'linear') return 'weight';
  return plan.operand === 'post-softmax' ? 'values' : 'activation';
}

function isTwinSoftmax(plan: LayerPlan, options: CalibrationOptions): boolean {
  return plan.operand === 'post-softmax' && options.softmax === 'twin';
}

/** All shifts that are allowed; in later rounds of `coarse-to-fine` only the current one and its neighbours. */
function softmaxShifts(
  plan: LayerPlan,
  depth: number,
  options: CalibrationOptions,
  round: number,
  current: number,
): number[] {
  const limit = Math.min(LARGEST_SOFTMAX_SHIFT, maxTwinShift(plan.aBits, plan.bBits, depth));
  const all = Array.from({ length: limit + 1 }, (_, shift) => shift);
  return options.search === 'exhaustive' || round === 0 ? all : all.filter((shift) => Math.abs(shift - current) <= 1);
}

function twinSoftmax(bits: number, shift: number, { twinBoundary }: CalibrationOptions): TwinSoftmaxQuantizer {
  return { type: 'twin-softmax', bits, shift, boundary: twinBoundary };
}

/** Elements, or rows for `cosine` and `pearson`, times the mean squared gradient: what turns a sum into the mean that a recipe states. */
function scoreUnit(problem: LayerProblem, { gradientRms }: LayerRanges, decided: ScoreGroups): number {
  const { heads, rows, columns } = problem.geometry;
  const lines = imageCount(problem) * heads * rows;
  return isRowMetric(metricOf(problem, decided)) ? lines : lines * columns * gradientRms ** 2;
}

function finiteChoice(layer: string, { factors, scores }: Choice): Float64Array<ArrayBuffer> {
  for (const score of scores) if (!Number.isFinite(score)) throw notFinite(layer, score);
  return Float64Array.from(factors);
}

function notFinite(layer: string, score: number): CalibrationError {
  return new CalibrationError(
    `${layer}: the best score is ${score}; an operand or a gradient of this layer overflows f32`,
  );
}

function lowest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value < (values[best] as number) ? i : best), 0);
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
