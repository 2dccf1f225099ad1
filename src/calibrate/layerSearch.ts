import type { BufferScope } from '../gpu/buffers.ts';
import type { GpuContext } from '../quantize/context.ts';
import { maxTwinShift } from '../quantize/quantizer.ts';
import { CalibrationError } from './errors.ts';
import { imageCount, isRowMetric, metricOf, scoreCandidates, type LayerProblem } from './layerScorer.ts';
import { evaluators, lowest, searchLeft, sum, type Fitted, type ScorePairs, type SearchedLayer } from './leftSearch.ts';
import { levelsAt, levelsCost, middle } from './levelSearch.ts';
import {
  leftFamilies,
  leftScoreGroups,
  rightOperand,
  softmaxShifts,
  type LayerPlan,
  type LayerRanges,
  type LeftFamily,
} from './operands.ts';
import type { LayerOptions } from './options.ts';
import type { LayerRecipe } from './recipe.ts';
import { SAMPLE_SHARE, sampleRows } from './rowSample.ts';
import { fitCost, roundCost, search, valleysCost, type Landscape } from './search.ts';

/** What `searchLayer` will cost, in candidates scored on all rows: for progress, before any is run. */
export function plannedCandidates(plan: LayerPlan, depth: number, given: LayerOptions): number {
  const options = searchOptions(plan, given);
  const ranges = { a: [1], aEnds: { low: -1, high: 1 }, aRms: 1, b: [1], gradientRms: 1 };
  const families = leftFamilies(plan, ranges, options, depth);
  const costs = families.map((family) => {
    const rounds = Array.from({ length: roundsOf(plan, options) }, (_, round) => {
      return (
        roundCost(options, rightLandscape(plan), round, SAMPLE_SHARE) + leftCost(plan, family, depth, options, round)
      );
    });
    return rounds;
  });
  const prunes = options.search === 'coarse-to-fine';
  return costs.reduce(
    (total, rounds, i) => total + sum(Float64Array.from(prunes && i > 0 ? rounds.slice(0, 1) : rounds)),
    0,
  );
}

function leftCost(plan: LayerPlan, family: LeftFamily, depth: number, options: LayerOptions, round: number): number {
  const first = round === 0 && options.search === 'coarse-to-fine';
  switch (family.by) {
    case 'nothing':
      return 0;
    case 'shifts':
      return softmaxShifts(plan, depth, options, round, 1).length;
    case 'levels': {
      const cost = (near: boolean) => levelsCost(family.space, options.search, SAMPLE_SHARE, near);
      return first
        ? cost(false) + fitCost(options, SAMPLE_SHARE) + cost(true)
        : cost(options.search === 'coarse-to-fine');
    }
    case 'factors':
      return first ? valleysCost(options, SAMPLE_SHARE) : roundCost(options, 'activation', round, SAMPLE_SHARE);
  }
}

/**
 * Chooses the quantizers of both operands of a layer by alternating search (PTQ4ViT, section 3.4): the right operand with the left
 * one fixed, then the left one, for the rounds of the options. With several families of left quantizers each is searched: to the
 * end by `exhaustive`, for one round by `coarse-to-fine`, which goes on with the best.
 *
 * @throws CalibrationError naming the layer when its gradient is zero everywhere or a score is not finite
 */
export async function searchLayer(
  context: GpuContext,
  problem: LayerProblem,
  plan: LayerPlan,
  ranges: LayerRanges,
  given: LayerOptions,
  scope: BufferScope,
  onWork: (candidates: number) => void,
): Promise<LayerRecipe> {
  if (!(ranges.gradientRms > 0 && ranges.gradientRms < Infinity)) {
    throw new CalibrationError(
      `${problem.name}: the gradient of its output has a root mean square of ${ranges.gradientRms}; the images tell nothing about this layer, use other or more images`,
    );
  }
  const { depth } = problem.geometry;
  const options = searchOptions(plan, given);
  const right = rightOperand(plan, ranges, options);
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
  const layer: SearchedLayer = {
    name: problem.name,
    plan,
    depth,
    options,
    right,
    full: sample?.exact ? scorer(sample.problem, sample.share) : scorer(problem, 1),
    screen: sample && !sample.exact ? scorer(sample.problem, sample.share) : undefined,
  };
  const bFactors = new Float64Array(right.groups).fill(1);
  let tried: { readonly family: LeftFamily; readonly state: Fitted }[] = leftFamilies(plan, ranges, options, depth).map(
    (family) => {
      return { family, state: { ...startOf(family), b: right.initial, bFactors, score: Infinity } };
    },
  );
  for (let round = 0; round < roundsOf(plan, options); round++) {
    const searched: typeof tried = [];
    for (const { family, state } of tried) {
      searched.push({ family, state: await alternate(layer, family, state, round) });
    }
    tried = options.search === 'exhaustive' ? searched : [best(searched)];
  }
  const { a, b, score } = best(tried).state;
  const decided = plan.operand === 'pixels' ? right.scoreGroups : leftScoreGroups(plan, options);
  return {
    name: problem.name,
    kind: plan.kind,
    a,
    b,
    score: score / scoreUnit(problem, ranges, decided),
    ...(a.type === 'twin-softmax' || a.type === 'twin-gelu'
      ? { maxShift: maxTwinShift(plan.aBits, plan.bBits, depth) }
      : {}),
  };
}

/** One round: the right operand with the left one fixed, then the left one. */
async function alternate(layer: SearchedLayer, family: LeftFamily, state: Fitted, round: number): Promise<Fitted> {
  const { name, plan, options, right } = layer;
  const choice = await search(
    evaluators(layer, (scored) => (factors) => scored([state.a], factors.map(right.quantizer), right.scoreGroups)),
    right.groups,
    options,
    rightLandscape(plan),
    round,
    state.bFactors,
  );
  const bFactors = Float64Array.from(choice.factors);
  const fitted = { ...state, b: right.quantizer(bFactors), bFactors, score: sum(choice.scores) };
  checkFinite(name, fitted.score);
  const chosen = await searchLeft(layer, family, fitted, round);
  checkFinite(name, chosen.score);
  return chosen;
}

function startOf(family: LeftFamily): Pick<Fitted, 'a' | 'aFactors' | 'point'> {
  if (family.by === 'levels') {
    const point = middle(family.space);
    return { a: levelsAt(family.space, point), aFactors: new Float64Array(), point };
  }
  const groups = family.by === 'factors' ? family.groups : 0;
  return { a: family.initial, aFactors: new Float64Array(groups).fill(1), point: undefined };
}

function best<T extends { readonly state: Fitted }>(tried: readonly T[]): T {
  return tried[lowest(tried.map(({ state }) => state.score))] as T;
}

/** Pixels are exact: nothing alternates, and an exhaustive search says all in one round. */
function roundsOf(plan: LayerPlan, options: LayerOptions): number {
  return plan.operand === 'pixels' && options.search === 'exhaustive' ? 1 : options.rounds;
}

/** `coarse-to-fine` looks at more candidates where they cost little. */
function searchOptions({ effort }: LayerPlan, options: LayerOptions): LayerOptions {
  return options.search === 'coarse-to-fine' ? { ...options, candidates: effort * options.candidates } : options;
}

function rightLandscape(plan: LayerPlan): Landscape {
  if (plan.kind === 'linear') return 'weight';
  return plan.operand === 'post-softmax' ? 'values' : 'activation';
}

/** Elements, or rows for `cosine` and `pearson`, times the mean squared gradient: what turns a sum into the mean that a recipe states. */
function scoreUnit(
  problem: LayerProblem,
  { gradientRms }: LayerRanges,
  decided: ReturnType<typeof leftScoreGroups>,
): number {
  const { heads, rows, columns } = problem.geometry;
  const lines = imageCount(problem) * heads * rows;
  return isRowMetric(metricOf(problem, decided)) ? lines : lines * columns * gradientRms ** 2;
}

function checkFinite(layer: string, score: number): void {
  if (!Number.isFinite(score)) {
    throw new CalibrationError(
      `${layer}: the best score is ${score}; an operand or a gradient of this layer overflows f32`,
    );
  }
}
