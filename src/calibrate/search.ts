import type { CalibrationOptions } from './options.ts';

/**
 * Scores candidates of one operand with the other held fixed: `factors[c][g]` is the scale of group g in candidate c relative
 * to its initial scale; the result has the same shape, lower is better. Groups are independent of each other.
 */
export type Evaluate = (factors: readonly Float64Array[]) => Promise<readonly Float64Array[]>;

/** Two ways to score a candidate: on all rows, and on the few that carry most of the score. */
export interface Evaluators {
  readonly full: Evaluate;
  /** Absent when there is nothing cheaper than `full`. */
  readonly screen?: Evaluate;
}

/** The best factor of every group and its score. */
export interface Choice {
  readonly factors: Float64Array;
  readonly scores: Float64Array;
}

type SearchOptions = Pick<CalibrationOptions, 'search' | 'candidates' | 'alpha' | 'beta' | 'rounds'>;

/**
 * What the scale belongs to. The score of a weight channel is one valley with a rough floor, since each factor rounds all its
 * weights anew: the number of candidates near the bottom decides. That of an activation is smooth, but can have several valleys,
 * which clip outliers more or less; which is deepest shows only when the other operand is fitted to each. The values of attention
 * have no such partner, twin shifts are few and all tried: they are looked at as a whole twice.
 */
export type Landscape = 'weight' | 'activation' | 'values';

/** Candidates of a round: screened over the whole range, around the best of those, and around the current factor; then scored on all rows. */
interface RoundPlan {
  readonly coarse: number;
  readonly fine: number;
  readonly around: number;
  /** Half-width of the pass around the current factor, relative to it. */
  readonly span: number;
  /** The current factor included. */
  readonly verified: number;
}

/** What the three kinds of round of `coarse-to-fine` do: passes as shares of `candidates`, verified ones as a count. */
const ROUNDS: Readonly<Record<Landscape, Readonly<Record<'first' | 'middle' | 'last', RoundPlan>>>> = {
  weight: {
    first: { coarse: 3 / 16, fine: 3 / 16, around: 0, span: 0, verified: 0 },
    middle: { coarse: 0, fine: 0, around: 13 / 8, span: 0.25, verified: 7 },
    last: { coarse: 0, fine: 0, around: 3 / 8, span: 0.1, verified: 4 },
  },
  activation: {
    first: { coarse: 1 / 4, fine: 1 / 4, around: 0, span: 0, verified: 0 },
    middle: { coarse: 0, fine: 0, around: 3 / 16, span: 0.25, verified: 6 },
    last: { coarse: 0, fine: 0, around: 3 / 16, span: 0.1, verified: 4 },
  },
  values: {
    first: { coarse: 1 / 4, fine: 1 / 4, around: 0, span: 0, verified: 0 },
    middle: { coarse: 1 / 4, fine: 1 / 4, around: 3 / 16, span: 0.25, verified: 7 },
    last: { coarse: 0, fine: 0, around: 3 / 16, span: 0.1, verified: 4 },
  },
};

/**
 * Candidates that one round costs, in candidates scored on all rows when the screened ones see `share` of them: what progress
 * is reckoned with.
 */
export function roundCost(options: SearchOptions, landscape: Landscape, round: number, share: number): number {
  if (options.search === 'exhaustive') return options.candidates;
  const { coarse, fine, around, verified } = planOf(options, landscape, round);
  return (coarse + fine + around) * share + verified;
}

/**
 * Chooses a factor for each group. `exhaustive` tries `alpha + i (beta - alpha) / n`, i = 1..n (PTQ4ViT, section 3.4) in every
 * round. `coarse-to-fine` screens candidates on few rows, group by group: over the whole range, around the best of those, around
 * the current factor. The most promising and the current one are then scored on all rows, so that a later round never ends
 * worse than it began.
 */
export async function search(
  { full, screen }: Evaluators,
  groups: number,
  options: SearchOptions,
  landscape: Landscape,
  round: number,
  current: Float64Array,
): Promise<Choice> {
  if (options.search === 'exhaustive') {
    return best(await scored(full, grid(options.alpha, options.beta, options.candidates, groups)), groups);
  }
  const plan = planOf(options, landscape, round);
  const cheap = screen ?? full;
  const screened: Scored[] = [];
  if (plan.coarse > 0) screened.push(...(await screenRange(cheap, groups, options, plan)));
  const reach = current.map((factor) => plan.span * factor);
  if (plan.around > 0) screened.push(...(await scored(cheap, spread(current, reach, plan.around))));
  if (plan.verified === 0) {
    const choice = best(screened, groups);
    return screen && options.rounds === 1 ? best(await scored(full, [choice.factors]), groups) : choice;
  }
  const promising = screen ? promisingOf(screened, groups, landscape, plan.verified - 1) : [];
  const verified = await scored(full, [current, ...promising]);
  return best(screen ? verified : [...verified, ...screened], groups);
}

/** Factors that differ by less than this share of the larger are in one valley. */
const VALLEY = 0.12;

/** Valleys of an activation that are followed. */
const VALLEYS = 3;

/** How each valley is followed: the other operand is fitted to it, then its own bottom is found. */
const FIT = { share: 1 / 4, span: 0.25 };
const SETTLE = { share: 3 / 16, span: 0.06 };

/** The bottoms of the deepest valleys of an activation, deepest first, by a screening over the whole range. */
export async function findValleys(
  { full, screen }: Evaluators,
  groups: number,
  options: SearchOptions,
): Promise<Float64Array[]> {
  const screened = await screenRange(screen ?? full, groups, options, planOf(options, 'activation', 0));
  return valleysOf(screened, groups, VALLEYS);
}

/** The best factors near `current` by a screening: fits an operand to a new state of the other one. */
export function fit(evaluators: Evaluators, options: SearchOptions, current: Float64Array): Promise<Choice> {
  return near(evaluators, options, current, FIT);
}

/** The bottom of the valley in which `current` lies, by a screening. */
export function settle(evaluators: Evaluators, options: SearchOptions, current: Float64Array): Promise<Choice> {
  return near(evaluators, options, current, SETTLE);
}

/** What `findValleys` costs, with a fit, a settling and one score on all rows for each, as in `roundCost`. */
export function valleysCost(options: SearchOptions, share: number): number {
  const { coarse, fine } = planOf(options, 'activation', 0);
  const followed = [FIT, SETTLE].reduce((sum, pass) => sum + 1 + countOf(options, pass.share), 0);
  return (coarse + fine + VALLEYS * followed) * share + VALLEYS;
}

/** What `fit` costs, as in `roundCost`. */
export function fitCost(options: SearchOptions, share: number): number {
  return (1 + countOf(options, FIT.share)) * share;
}

async function near(
  { full, screen }: Evaluators,
  options: SearchOptions,
  current: Float64Array,
  { share, span }: { share: number; span: number },
): Promise<Choice> {
  const reach = current.map((factor) => span * factor);
  const around = spread(current, reach, countOf(options, share));
  return best(await scored(screen ?? full, [current, ...around]), current.length);
}

/** A share of the candidates: none, or at least two. */
function countOf({ candidates }: SearchOptions, share: number): number {
  return share === 0 ? 0 : Math.max(2, Math.round(share * candidates));
}

/** A grid over the whole range, then more candidates around the best of each group. */
async function screenRange(
  evaluate: Evaluate,
  groups: number,
  { alpha, beta }: SearchOptions,
  plan: RoundPlan,
): Promise<Scored[]> {
  const coarse = await scored(evaluate, grid(alpha, beta, plan.coarse, groups));
  const centre = best(coarse, groups).factors;
  const gap = (beta - alpha) / plan.coarse;
  const reach = centre.map((factor) => Math.min(1.5 * gap, factor - alpha / 2));
  return [...coarse, ...(await scored(evaluate, spread(centre, reach, plan.fine)))];
}

function planOf(options: SearchOptions, landscape: Landscape, round: number): RoundPlan {
  const plan = ROUNDS[landscape][round === 0 ? 'first' : round < options.rounds - 1 ? 'middle' : 'last'];
  return {
    coarse: countOf(options, plan.coarse),
    fine: countOf(options, plan.fine),
    around: countOf(options, plan.around),
    span: plan.span,
    verified: plan.verified,
  };
}

interface Scored {
  readonly factors: Float64Array;
  readonly scores: Float64Array;
}

async function scored(evaluate: Evaluate, factors: readonly Float64Array[]): Promise<Scored[]> {
  const scores = await evaluate(factors);
  return factors.map((candidate, c) => ({ factors: candidate, scores: scores[c] as Float64Array }));
}

/** The lowest score of each group; the first candidate wins a draw. */
function best(candidates: readonly Scored[], groups: number): Choice {
  const choice = { factors: new Float64Array(groups), scores: new Float64Array(groups).fill(Infinity) };
  for (const { factors, scores } of candidates) {
    for (let g = 0; g < groups; g++) {
      if ((scores[g] as number) < (choice.scores[g] as number)) {
        choice.scores[g] = scores[g] as number;
        choice.factors[g] = factors[g] as number;
      }
    }
  }
  return choice;
}

/** What is scored on all rows: with `values` a candidate of each of the deepest valleys first, for few rows may misjudge them. */
function promisingOf(
  candidates: readonly Scored[],
  groups: number,
  landscape: Landscape,
  count: number,
): Float64Array[] {
  const valleys = landscape === 'values' ? valleysOf(candidates, groups, Math.min(VALLEYS, count)) : [];
  return [...valleys, ...mostPromising(candidates, groups, count - valleys.length)];
}

/** `count` candidates: the first has the best factor of every group, the second the second best, and so on. */
function mostPromising(candidates: readonly Scored[], groups: number, count: number): Float64Array[] {
  return byRank(candidates, groups, count, (factors) => factors);
}

/** `count` candidates: the best of every group, then the best that lie in other valleys than those before. */
function valleysOf(candidates: readonly Scored[], groups: number, count: number): Float64Array[] {
  return byRank(candidates, groups, count, (factors) => {
    const valleys: number[] = [];
    for (const factor of factors) {
      if (valleys.every((other) => Math.abs(other - factor) > VALLEY * Math.max(other, factor))) valleys.push(factor);
    }
    return valleys;
  });
}

/** Candidate i has the i-th of the factors that `pick` takes from those of a group, lowest score first. */
function byRank(
  candidates: readonly Scored[],
  groups: number,
  count: number,
  pick: (factors: number[]) => number[],
): Float64Array[] {
  const chosen = Array.from({ length: count }, () => new Float64Array(groups));
  for (let g = 0; g < groups; g++) {
    const order = pick(
      candidates
        .map((candidate) => ({ factor: candidate.factors[g] as number, score: candidate.scores[g] as number }))
        .sort((a, b) => a.score - b.score || a.factor - b.factor)
        .map(({ factor }) => factor),
    );
    chosen.forEach((factors, place) => {
      factors[g] = order[Math.min(place, order.length - 1)] as number;
    });
  }
  return chosen;
}

/** Factors `alpha + i (beta - alpha) / count`, i = 1..count, the same for all groups. */
function grid(alpha: number, beta: number, count: number, groups: number): Float64Array[] {
  return Array.from({ length: count }, (_, i) =>
    new Float64Array(groups).fill(alpha + ((i + 1) * (beta - alpha)) / count),
  );
}

/** `count` factors per group, evenly within `centre - reach .. centre + reach`, ends excluded. */
function spread(centre: Float64Array, reach: Float64Array, count: number): Float64Array[] {
  return Array.from({ length: count }, (_, i) =>
    centre.map((factor, g) => factor + (reach[g] as number) * ((2 * i + 1) / count - 1)),
  );
}
