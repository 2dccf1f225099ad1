import type { CalibrationOptions } from './recipe.ts';

/**
 * Scores candidates of one operand with the other held fixed: `factors[c][g]` is the scale of group g in candidate c relative
 * to its initial scale; the result has the same shape, lower is better. Groups are independent of each other.
 */
export type Evaluate = (factors: readonly Float64Array[]) => Promise<readonly Float64Array[]>;

/** The best factor of every group and its score. */
export interface Choice {
  readonly factors: Float64Array;
  readonly scores: Float64Array;
}

type SearchOptions = Pick<CalibrationOptions, 'search' | 'candidates' | 'alpha' | 'beta'>;

/** Shares of the candidates that the coarse, the middle and the fine pass take. */
const COARSE_SHARE = 0.36;
const MIDDLE_SHARE = 0.36;

/** Half-width of the interval around the current factor that later coarse-to-fine rounds look at, and its candidates. */
const NEIGHBOUR_SPAN = 0.06;
const NEIGHBOUR_CANDIDATES = 7;

/** Candidates that one round of `search` scores: what progress and the bench count. */
export function candidatesPerRound(options: SearchOptions, round: number): number {
  if (options.search === 'coarse-to-fine' && round > 0) return NEIGHBOUR_CANDIDATES;
  return options.candidates;
}

/**
 * Chooses a factor for each group. `exhaustive` tries `alpha + i (beta - alpha) / n`, i = 1..n (PTQ4ViT, section 3.4) in every
 * round. `coarse-to-fine` narrows around the best of a coarse grid, group by group, and later rounds look only at neighbours of
 * the current factor, so that a round never ends worse than it began.
 */
export async function search(
  evaluate: Evaluate,
  groups: number,
  options: SearchOptions,
  round: number,
  current: Float64Array,
): Promise<Choice> {
  const best = new BestOfGroups(groups);
  if (options.search === 'exhaustive') {
    await best.consider(evaluate, grid(options.alpha, options.beta, options.candidates, groups));
  } else if (round === 0) {
    await coarseToFine(evaluate, groups, options, best);
  } else {
    const half = (NEIGHBOUR_CANDIDATES - 1) / 2;
    const around = Array.from({ length: NEIGHBOUR_CANDIDATES }, (_, i) =>
      current.map((factor) => factor * (1 + (NEIGHBOUR_SPAN * (i - half)) / half)),
    );
    await best.consider(evaluate, around);
  }
  return best;
}

async function coarseToFine(
  evaluate: Evaluate,
  groups: number,
  { candidates, alpha, beta }: SearchOptions,
  best: BestOfGroups,
): Promise<void> {
  const coarse = Math.round(COARSE_SHARE * candidates);
  const middle = Math.round(MIDDLE_SHARE * candidates);
  const fine = candidates - coarse - middle;
  await best.consider(evaluate, grid(alpha, beta, coarse, groups));
  let gap = (beta - alpha) / coarse;
  for (const count of [middle, fine]) {
    const centre = best.factors.slice();
    const low = centre.map((factor) => Math.max(alpha / 2, factor - gap));
    const width = centre.map((factor, g) => factor + gap - (low[g] as number));
    const between = Array.from({ length: count }, (_, i) =>
      low.map((start, g) => start + ((width[g] as number) * (i + 0.5)) / count),
    );
    await best.consider(evaluate, between);
    gap = (2 * gap) / count;
  }
}

/** Factors `alpha + i (beta - alpha) / count`, i = 1..count, the same for all groups. */
function grid(alpha: number, beta: number, count: number, groups: number): Float64Array[] {
  return Array.from({ length: count }, (_, i) =>
    new Float64Array(groups).fill(alpha + ((i + 1) * (beta - alpha)) / count),
  );
}

/** Keeps the best candidate of each group; the first seen wins a draw. */
class BestOfGroups implements Choice {
  readonly factors: Float64Array;
  readonly scores: Float64Array;

  constructor(groups: number) {
    this.factors = new Float64Array(groups);
    this.scores = new Float64Array(groups).fill(Infinity);
  }

  async consider(evaluate: Evaluate, factors: readonly Float64Array[]): Promise<void> {
    const scores = await evaluate(factors);
    factors.forEach((candidate, c) => {
      for (let g = 0; g < candidate.length; g++) {
        const score = scores[c]?.[g] as number;
        if (score < (this.scores[g] as number)) {
          this.scores[g] = score;
          this.factors[g] = candidate[g] as number;
        }
      }
    });
  }
}
