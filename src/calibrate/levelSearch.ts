import { BASE_ROOT, logLevels, type LevelShape } from '../quantize/levels.ts';
import type { LevelsQuantizer } from '../quantize/quantizer.ts';
import type { LayerOptions } from './options.ts';

/** The levels that an operand can have: any base with any number of levels below 0 and any largest value. */
export interface LevelSpace {
  readonly kind: Pick<LevelsQuantizer, 'operand' | 'family' | 'bits'>;
  /** Octaves between levels, ascending. */
  readonly bases: readonly number[];
  /** Numbers of levels below 0, ascending. */
  readonly negatives: readonly number[];
  /** Largest magnitude of the operand. */
  readonly range: number;
  /** Smallest represented maximum that is tried, relative to `range`. */
  readonly alpha: number;
  /** Largest level that the accumulator allows. */
  readonly limit: number;
}

/** A point of a space: places in its lists, and the represented maximum relative to its range. */
export interface LevelPoint {
  readonly base: number;
  readonly negatives: number;
  readonly factor: number;
}

/** Scores quantizers with the other operand held fixed; lower is better. */
export type EvaluateLevels = (quantizers: readonly LevelsQuantizer[]) => Promise<readonly number[]>;

export interface LevelChoice {
  readonly point: LevelPoint;
  readonly score: number;
}

/** Represented maxima of the first pass, and of `exhaustive`: an even geometric grid from alpha to 1. */
const COARSE = 6;
const EXHAUSTIVE = 12;

/** Bases that are followed, and the maxima about the best of each. */
const REFINED = 3;
const FINE = 4;

/** Candidates of `coarse-to-fine` that are scored on all rows, the current one included. */
const VERIFIED = 4;

/** Shares of the codes after GELU that are negative, and AdaLog's q about the best of each width; wider apart where less is at stake. */
const NEGATIVE_SHARES = [1 / 8, 3 / 16, 1 / 4, 5 / 16, 3 / 8, 7 / 16];
const ADAPTIVE_CENTRES: Readonly<Record<number, number>> = { 2: 56, 3: 37, 4: 20, 5: 10, 6: 6, 7: 3, 8: 2 };
const ADAPTIVE_RATIOS = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.15, 1.3, 1.5, 1.85];

/**
 * Smallest represented maxima, relative to the largest value. What clipping a massive outlier after GELU costs is more than its
 * score says, and levels have no need of it.
 */
const SMALLEST = { softmax: 1 / 16, gelu: 0.4 };

/** The levels of a family after softmax or GELU. `log2` has whole and half octaves, `adaptive-log` AdaLog's bases. */
export function levelSpace(
  kind: LevelSpace['kind'],
  range: number,
  limit: number,
  { alpha }: Pick<LayerOptions, 'alpha'>,
): LevelSpace {
  const { operand, family, bits } = kind;
  const centre = ADAPTIVE_CENTRES[bits] as number;
  const adaptive = ADAPTIVE_RATIOS.map((ratio) => Math.max(1, Math.round(centre * ratio)) / BASE_ROOT);
  const shares = NEGATIVE_SHARES.map((share) => Math.max(1, Math.round(2 ** bits * share)));
  return {
    kind,
    bases: family === 'log2' ? [0.5, 1] : [...new Set(adaptive)],
    negatives: operand === 'gelu' ? [...new Set(shares)] : [0],
    range: Math.max(range, 2 ** -100),
    alpha: operand === 'gelu' ? Math.min(1, Math.max(alpha, SMALLEST.gelu)) : SMALLEST.softmax,
    limit,
  };
}

export function levelsAt({ kind, bases, negatives, range, limit }: LevelSpace, point: LevelPoint): LevelsQuantizer {
  const shape: LevelShape = {
    octaves: bases[point.base] as number,
    negatives: negatives[point.negatives] as number,
  };
  return logLevels(kind, shape, range * point.factor, limit);
}

/** Where a search begins: the middle of the space, with nothing clipped. */
export function middle({ bases, negatives }: LevelSpace): LevelPoint {
  return { base: Math.floor(bases.length / 2), negatives: Math.floor(negatives.length / 2), factor: 1 };
}

/**
 * Chooses levels. `exhaustive` scores every shape with every maximum on all rows. `coarse-to-fine` screens every base with a few
 * maxima, then the best bases with every number of negative levels and with more maxima (AdaLog's progressive search of base and
 * scale), or, `near` the current point, its neighbours only; the most promising and the current one are then scored on all rows.
 */
export async function searchLevels(
  space: LevelSpace,
  { full, screen = full }: { readonly full: EvaluateLevels; readonly screen?: EvaluateLevels },
  search: LayerOptions['search'],
  current: LevelPoint,
  near: boolean,
): Promise<LevelChoice> {
  const score = async (evaluate: EvaluateLevels, points: readonly LevelPoint[]): Promise<LevelChoice[]> => {
    if (points.length === 0) return [];
    const scores = await evaluate(points.map((point) => levelsAt(space, point)));
    return points.map((point, i) => ({ point, score: scores[i] as number }));
  };
  if (search === 'exhaustive') {
    return sorted(
      await score(full, [current, ...gridPoints(space, EXHAUSTIVE, [...space.negatives.keys()])]),
    )[0] as LevelChoice;
  }
  let screened: LevelChoice[];
  if (near) {
    screened = await score(screen, neighbours(space, current));
  } else {
    screened = await score(screen, gridPoints(space, COARSE, [middle(space).negatives]));
    screened.push(...(await score(screen, otherNegatives(space, basesOf(sorted(screened))))));
    screened.push(...(await score(screen, finer(space, basesOf(sorted(screened))))));
  }
  const promising = sorted(screened).slice(0, VERIFIED - 1);
  const verified = await score(full, [current, ...promising.map(({ point }) => point)]);
  return sorted(verified)[0] as LevelChoice;
}

/** What `searchLevels` costs in candidates scored on all rows, one on the share of a screening counting as that share. */
export function levelsCost(space: LevelSpace, search: LayerOptions['search'], share: number, near: boolean): number {
  if (search === 'exhaustive') return 1 + space.bases.length * space.negatives.length * EXHAUSTIVE;
  const followed = Math.min(REFINED, space.bases.length);
  const screened = near
    ? neighbours(space, middle(space)).length
    : space.bases.length * COARSE + followed * (space.negatives.length - 1 + FINE);
  return screened * share + VERIFIED;
}

/** Lowest score first; of equals the first. */
function sorted(choices: readonly LevelChoice[]): LevelChoice[] {
  return [...choices].sort((a, b) => a.score - b.score);
}

/** The best points of the best bases, of points in the order of their scores. */
function basesOf(choices: readonly LevelChoice[]): LevelPoint[] {
  const points = choices.map(({ point }) => point);
  const first = points.filter((point, i) => points.findIndex(({ base }) => base === point.base) === i);
  return first.slice(0, REFINED);
}

/** The points with every other number of negative levels. */
function otherNegatives({ negatives }: LevelSpace, points: readonly LevelPoint[]): LevelPoint[] {
  return points.flatMap((point) =>
    [...negatives.keys()].filter((n) => n !== point.negatives).map((n) => ({ ...point, negatives: n })),
  );
}

function gridPoints({ bases, alpha }: LevelSpace, maxima: number, negatives: readonly number[]): LevelPoint[] {
  const factors = Array.from({ length: maxima }, (_, i) => alpha ** (i / maxima));
  return bases.flatMap((_, base) =>
    negatives.flatMap((n) => factors.map((factor) => ({ base, negatives: n, factor }))),
  );
}

/** `FINE` points within a gap of the first pass about each, never above the range. */
function finer({ alpha }: LevelSpace, points: readonly LevelPoint[]): LevelPoint[] {
  const gap = alpha ** (1 / COARSE);
  return points.flatMap((point) =>
    Array.from({ length: FINE }, (_, i) => ({
      ...point,
      factor: Math.min(1, point.factor * gap ** ((2 * i + 1) / FINE - 1)),
    })),
  );
}

/** Points one step away, with both neighbouring bases and numbers of negative levels, and four nearer maxima. */
function neighbours({ bases, negatives, alpha }: LevelSpace, point: LevelPoint): LevelPoint[] {
  const gap = alpha ** (1 / (4 * COARSE));
  const moved: LevelPoint[] = [
    ...[-1, 1].map((by) => ({ ...point, base: point.base + by })),
    ...[-1, 1].map((by) => ({ ...point, negatives: point.negatives + by })),
    ...[-2, -1, 1, 2].map((by) => ({ ...point, factor: Math.min(1, point.factor * gap ** by) })),
  ];
  return moved.filter(({ base, negatives: n }) => bases[base] !== undefined && negatives[n] !== undefined);
}
