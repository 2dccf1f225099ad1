import type { GpuContext } from '../quantize/context.ts';
import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';
import { initialScale, maxTwinShift } from '../quantize/quantizer.ts';
import { checkLayerOptions } from './checkOptions.ts';
import { CalibrationError } from './errors.ts';
import type { LayerProblem, ScoreGroups } from './layerScorer.ts';
import { scoreUnit } from './meanScore.ts';
import { scalesByHead, softmaxShifts, twinSoftmax, type LayerPlan, type LayerRanges } from './operands.ts';
import type { LayerOptions } from './options.ts';
import { SPLITS } from './publishedChoice.ts';
import type { Distribution } from './ranges/distribution.ts';
import { observeLeft, observeRight, readBlocks } from './ranges/calibrateRanges.ts';
import { leftFromRanges, leftFromScales, rightFromScales, weightBlocks } from './ranges/quantizers.ts';
import type { LayerRecipe } from './recipe.ts';
import { scorePairs } from './scorePairs.ts';

/**
 * Chooses the scales of a layer as the published code of PTQ4ViT does: candidates `alpha + i (beta - alpha) / n`, i = 0..n - 1, of the scales
 * that hold the largest values; for a linear layer the weight, run by run of input features, then the input; for attention the left
 * operand, then the right one; every round anew. Splits of probabilities are scored against the unquantized right operand, so that
 * later rounds change nothing. Products without a common integer run in float. The gradient of `hessian` is that of the options; the
 * published one, of a divergence that is zero, is noise.
 *
 * @throws OptionsError naming the layer when its options cannot be searched so
 * @throws CalibrationError naming the layer when its gradient is zero everywhere or a score is not finite
 */
export async function searchAsPublished(
  context: GpuContext,
  problem: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
  { gradientRms }: Pick<LayerRanges, 'gradientRms'>,
  onWork: (candidates: number) => void,
): Promise<LayerRecipe> {
  checkLayerOptions(problem.name, plan, options, problem.geometry.depth, problem.geometry.columns);
  if (!(gradientRms > 0 && gradientRms < Infinity)) {
    throw new CalibrationError(
      `${problem.name}: the gradient of its output has a root mean square of ${gradientRms}; the images tell nothing about this layer, use other or more images`,
    );
  }
  const left = await leftOperand(context, problem, plan, options);
  const right = await rightOperand(context, problem, plan, options);
  let aScales = [...left.start];
  let bScales = [...right.start];
  let a = left.quantizer(aScales);
  let chosen = { score: Infinity, groups: WHOLE as ScoreGroups };
  const evaluate = async (
    lefts: readonly LeftQuantizer[],
    rights: readonly RightQuantizer[] | 'unquantized',
    groups: ScoreGroups,
  ): Promise<Float64Array[]> => {
    const count = Math.max(lefts.length, rights === 'unquantized' ? 1 : rights.length);
    return scorePairs(context, problem, lefts, rights, groups, (share) => onWork(share * count));
  };
  const searchLeft = async () => {
    if (left.alternatives) {
      const { quantizers, unquantized } = left.alternatives;
      const rights = unquantized ? 'unquantized' : [right.quantizer(bScales)];
      const scores = (await evaluate(quantizers, rights, WHOLE)).map((total) => total[0] as number);
      a = quantizers[lowest(problem.name, scores)] as LeftQuantizer;
      return;
    }
    for (const pass of left.passes) {
      const tried = candidatesOf(aScales, left.start, pass, options);
      const scores = await evaluate(tried.map(left.quantizer), [right.quantizer(bScales)], pass.groups);
      const best = bestOf(problem.name, tried, scores, pass, aScales);
      aScales = best.scales;
      chosen = { score: best.score, groups: pass.groups };
    }
    a = left.quantizer(aScales);
  };
  const searchRight = async () => {
    for (const pass of right.passes) {
      const tried = candidatesOf(bScales, right.start, pass, options);
      const scores = await evaluate([a], tried.map(right.quantizer), pass.groups);
      const best = bestOf(problem.name, tried, scores, pass, bScales);
      bScales = best.scales;
      chosen = { score: best.score, groups: pass.groups };
    }
  };
  for (let round = 0; round < options.rounds; round++) {
    if (plan.kind === 'matmul') await searchLeft();
    await searchRight();
    if (plan.kind === 'linear') await searchLeft();
  }
  const maxShift = maxTwinShift(plan.aBits, plan.bBits, problem.geometry.depth);
  return {
    name: problem.name,
    kind: plan.kind,
    a,
    b: right.quantizer(bScales),
    score: chosen.score / scoreUnit(problem, { gradientRms }, chosen.groups),
    ...(a.type === 'twin-softmax' || a.type === 'twin-gelu' ? { maxShift } : {}),
  };
}

const WHOLE = { by: 'columns', parts: 1 } as const;

/** Scales that are searched together: group i of the scores decides scale `members[i]`. */
interface Pass {
  readonly members: readonly number[];
  readonly groups: ScoreGroups;
}

interface PublishedOperand<Quantizer> {
  readonly start: readonly number[];
  readonly passes: readonly Pass[];
  readonly quantizer: (scales: readonly number[]) => Quantizer;
  /** Quantizers that are tried instead of scales. */
  readonly alternatives?: { readonly quantizers: readonly Quantizer[]; readonly unquantized: boolean };
}

async function leftOperand(
  context: GpuContext,
  problem: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
): Promise<PublishedOperand<LeftQuantizer>> {
  const { geometry } = problem;
  const bits = plan.aBits;
  const fixed = (quantizer: LeftQuantizer) => ({ start: [], passes: [], quantizer: () => quantizer });
  if (plan.operand === 'pixels') return fixed({ type: 'pixels', bits: 8 });
  if (plan.operand === 'post-softmax' && options.softmax === 'published-code') {
    const quantizers = Array.from({ length: SPLITS }, (_, i): LeftQuantizer => {
      return { type: 'published-softmax', bits, split: 2 ** -i };
    });
    return { ...fixed(quantizers[0] as LeftQuantizer), alternatives: { quantizers, unquantized: true } };
  }
  if (plan.operand === 'post-softmax' && options.softmax === 'twin') {
    const shifts = softmaxShifts(plan, geometry.depth, { ...options, search: 'exhaustive' }, 0, 0);
    const quantizers = shifts.map((shift) => twinSoftmax(bits, shift, options));
    return { ...fixed(quantizers[0] as LeftQuantizer), alternatives: { quantizers, unquantized: false } };
  }
  const distributions = await observeLeft(context, problem, plan, options, false);
  const initial = leftFromRanges(plan, options, geometry.depth, distributions);
  if (initial.type === 'per-token') return fixed(initial);
  const start = startOf(initial, distributions, bits);
  const passes: readonly Pass[] =
    plan.kind === 'matmul' && scalesByHead(plan, options)
      ? [{ members: start.map((_, head) => head), groups: { by: 'heads' } }]
      : start.map((_, run) => ({ members: [run], groups: WHOLE }));
  const limit = maxTwinShift(bits, plan.bBits, geometry.depth);
  return { start, passes, quantizer: (scales) => leftFromScales(initial, scales, limit) };
}

/** The scales that candidates of a left quantizer are factors of. */
function startOf(initial: LeftQuantizer, distributions: readonly Distribution[], bits: number): readonly number[] {
  if (initial.type === 'uniform' || initial.type === 'block') return initial.scales;
  return distributions.map(({ high }) => initialScale(Math.max(high, 0), bits));
}

async function rightOperand(
  context: GpuContext,
  problem: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
): Promise<PublishedOperand<RightQuantizer>> {
  const quantizer = (scales: readonly number[]) => rightFromScales(plan, options, scales);
  const { columns } = problem.geometry;
  if (plan.kind === 'matmul') {
    const distributions = await observeRight(context, problem, plan, options, false);
    const start = distributions.map(({ low, high }) => initialScale(Math.max(-low, high), plan.bBits));
    const groups: ScoreGroups = scalesByHead(plan, options) ? { by: 'heads' } : WHOLE;
    return { start, passes: [{ members: start.map((_, head) => head), groups }], quantizer };
  }
  const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const start = (await readBlocks(context, problem, plan, options)).map((values) =>
    initialScale(largest(values), plan.bBits),
  );
  const blocks = weightBlocks(plan, options, columns);
  const passes = Array.from({ length: blocks.columns }, (_, column): Pass => {
    const members = Array.from({ length: blocks.rows }, (__, row) => row * blocks.columns + column);
    return { members, groups: { by: 'columns', parts: blocks.rows } };
  });
  return { start, passes, quantizer };
}

/** The current scales with those of a pass replaced by candidates. */
function candidatesOf(
  current: readonly number[],
  start: readonly number[],
  { members }: Pass,
  { alpha, beta, candidates }: LayerOptions,
): number[][] {
  const factors = Array.from({ length: candidates }, (_, i) => alpha + (i * (beta - alpha)) / candidates);
  return factors
    .filter((factor) => factor > 0)
    .map((factor) => {
      const scales = [...current];
      for (const member of members) scales[member] = Math.fround(factor * (start[member] as number)) || 2 ** -126;
      return scales;
    });
}

/** The best candidate of each scale of a pass, and the sum of their scores; the first of equals. */
function bestOf(
  name: string,
  tried: readonly (readonly number[])[],
  scores: readonly Float64Array[],
  { members }: Pass,
  current: readonly number[],
): { scales: number[]; score: number } {
  const scales = [...current];
  let score = 0;
  members.forEach((member, group) => {
    const of = scores.map((totals) => totals[group] as number);
    const best = lowest(name, of);
    scales[member] = tried[best]?.[member] as number;
    score += of[best] as number;
  });
  return { scales, score };
}

function lowest(name: string, scores: readonly number[]): number {
  const best = scores.reduce((found, score, i) => (score < (scores[found] as number) ? i : found), 0);
  if (Number.isFinite(scores[best])) return best;
  throw new CalibrationError(
    `${name}: the best score is ${scores[best]}; an operand or a gradient of this layer overflows f32`,
  );
}
