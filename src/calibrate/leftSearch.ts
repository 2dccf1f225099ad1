import type { ActivationQuantizer, UniformQuantizer } from '../quantize/quantizer.ts';
import type { ScoreGroups } from './layerScorer.ts';
import { levelsAt, searchLevels, type EvaluateLevels, type LevelChoice, type LevelPoint } from './levelSearch.ts';
import { softmaxShifts, twinSoftmax, type LayerPlan, type LeftFamily, type SearchedOperand } from './operands.ts';
import type { LayerOptions } from './options.ts';
import { findValleys, fit, search, settle, type Choice, type Evaluate, type Evaluators } from './search.ts';

/** Scores candidates of one operand, or of the other, against a shared one; see `scoreCandidates`. */
export type ScorePairs = (
  lefts: readonly ActivationQuantizer[],
  rights: readonly UniformQuantizer[],
  groups: ScoreGroups,
) => Promise<Float64Array[]>;

/** A layer under search: its right operand, its options and how its candidates are scored. */
export interface SearchedLayer {
  readonly name: string;
  readonly plan: LayerPlan;
  readonly depth: number;
  readonly options: LayerOptions;
  readonly right: SearchedOperand<UniformQuantizer>;
  /** On all rows. */
  readonly full: ScorePairs;
  /** On a sample of them; absent when there is nothing cheaper. */
  readonly screen: ScorePairs | undefined;
}

/** Where a search of both operands stands. */
export interface Fitted {
  readonly a: ActivationQuantizer;
  readonly b: UniformQuantizer;
  /** Factors of a family that is searched by them. */
  readonly aFactors: Float64Array;
  readonly bFactors: Float64Array;
  /** Levels of a family that is searched by them. */
  readonly point: LevelPoint | undefined;
  /** Sum over all groups. */
  readonly score: number;
}

/** One way to score factors, in its two forms: on all rows and on the sample. */
export function evaluators(layer: SearchedLayer, score: (pairs: ScorePairs) => Evaluate): Evaluators {
  return { full: score(layer.full), ...(layer.screen ? { screen: score(layer.screen) } : {}) };
}

/** Chooses the left operand with the right one fixed, in the first round of `coarse-to-fine` with a right one fitted to each valley. */
export async function searchLeft(
  layer: SearchedLayer,
  family: LeftFamily,
  state: Fitted,
  round: number,
): Promise<Fitted> {
  const { options } = layer;
  switch (family.by) {
    case 'nothing':
      return state;
    case 'shifts':
      return searchShifts(layer, state, round);
    case 'levels':
      return searchLevelsOf(layer, family, state, round);
    case 'factors': {
      const forLeft = evaluators(
        layer,
        (scored) => (factors) => scored(factors.map(family.quantizer), [state.b], family.scoreGroups),
      );
      if (round === 0 && options.search === 'coarse-to-fine') return followValleys(layer, family, forLeft, state);
      const choice = await search(forLeft, family.groups, options, 'activation', round, state.aFactors);
      const aFactors = Float64Array.from(choice.factors);
      return { ...state, aFactors, a: family.quantizer(aFactors), score: sum(choice.scores) };
    }
  }
}

/** Every shift of twin ranges after softmax, on all rows. */
async function searchShifts(layer: SearchedLayer, state: Fitted, round: number): Promise<Fitted> {
  const { plan, depth, options, full } = layer;
  const current = state.a.type === 'twin-softmax' ? state.a.shift : 0;
  const shifts = softmaxShifts(plan, depth, options, round, current);
  const quantizers = shifts.map((shift) => twinSoftmax(plan.aBits, shift, options));
  const scores = (await full(quantizers, [state.b], WHOLE)).map((total) => total[0] as number);
  const best = lowest(scores);
  return { ...state, a: quantizers[best] as ActivationQuantizer, score: scores[best] as number };
}

/** Levels; in the first round of `coarse-to-fine` the right operand is fitted to the choice, which then settles. */
async function searchLevelsOf(
  layer: SearchedLayer,
  { space }: LeftFamily & { readonly by: 'levels' },
  state: Fitted,
  round: number,
): Promise<Fitted> {
  const coarse = layer.options.search === 'coarse-to-fine';
  const first = coarse && round === 0;
  const choose = (b: UniformQuantizer, from: LevelPoint, near: boolean, verify: boolean): Promise<LevelChoice> => {
    const scored = (pairs: ScorePairs): EvaluateLevels => {
      return async (quantizers) => (await pairs(quantizers, [b], WHOLE)).map((total) => total[0] as number);
    };
    const screen = scored(layer.screen ?? layer.full);
    const both = { full: verify ? scored(layer.full) : screen, screen };
    return searchLevels(space, both, layer.options.search, from, near);
  };
  const { point: current } = state;
  let { b, bFactors } = state;
  let choice = await choose(b, current as LevelPoint, coarse && round > 0, !first);
  if (first) {
    bFactors = (await fitRight(layer, levelsAt(space, choice.point), bFactors)).factors;
    b = layer.right.quantizer(bFactors);
    choice = await choose(b, choice.point, true, true);
  }
  const { point, score } = choice;
  return { ...state, a: levelsAt(space, point), point, b, bFactors, score };
}

/**
 * Follows the deepest valleys of the left operand: the right one is fitted to each, the left one settles in it, and all rows decide,
 * group by group. Alternating alone would stay in the valley that it begins in, because a fitted operand favours it.
 */
async function followValleys(
  layer: SearchedLayer,
  left: LeftFamily & { readonly by: 'factors' },
  forLeft: Evaluators,
  state: Fitted,
): Promise<Fitted> {
  const { options, right } = layer;
  const followed: { a: Float64Array; b: Float64Array; scores: Float64Array }[] = [];
  for (const valley of await findValleys(forLeft, left.groups, options)) {
    const { factors: fitted } = await fitRight(layer, left.quantizer(valley), state.bFactors);
    const other = right.quantizer(fitted);
    const toFitted = evaluators(
      layer,
      (scored) => (factors) => scored(factors.map(left.quantizer), [other], left.scoreGroups),
    );
    const { factors: bottom } = await settle(toFitted, options, valley);
    const [scores] = await layer.full([left.quantizer(bottom)], [other], left.scoreGroups);
    followed.push({ a: bottom, b: fitted, scores: scores as Float64Array });
  }
  const deepest = Array.from({ length: left.groups }, (_, g) =>
    lowest(followed.map(({ scores }) => scores[g] as number)),
  );
  const aFactors = Float64Array.from(deepest, (v, g) => followed[v]?.a[g] as number);
  // All channels of a weight have one left operand; operands of attention belong to the same head.
  const bFactors = Float64Array.from(
    state.bFactors,
    (_, g) => followed[deepest[left.groups === 1 ? 0 : g] as number]?.b[g] as number,
  );
  return {
    ...state,
    a: left.quantizer(aFactors),
    b: right.quantizer(bFactors),
    aFactors,
    bFactors,
    score: deepest.reduce((total, v, g) => total + (followed[v]?.scores[g] as number), 0),
  };
}

/** The right operand fitted to a left one, near its factors. */
function fitRight(layer: SearchedLayer, a: ActivationQuantizer, bFactors: Float64Array): Promise<Choice> {
  const { right } = layer;
  const forRight = evaluators(
    layer,
    (scored) => (factors) => scored([a], factors.map(right.quantizer), right.scoreGroups),
  );
  return fit(forRight, layer.options, bFactors);
}

/** All heads or columns together: what has one quantizer for all of them. */
const WHOLE: ScoreGroups = { by: 'columns', parts: 1 };

export function lowest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value < (values[best] as number) ? i : best), 0);
}

export function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
