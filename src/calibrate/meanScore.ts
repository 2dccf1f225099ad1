import { imageCount, isRowMetric, metricOf, type LayerProblem, type ScoreGroups } from './layerScorer.ts';
import type { LayerRanges } from './operands.ts';

/**
 * Elements, or rows for `cosine` and `pearson`, times the mean squared gradient: what turns a sum into the mean that a recipe states.
 */
export function scoreUnit(
  problem: LayerProblem,
  { gradientRms }: Pick<LayerRanges, 'gradientRms'>,
  decided: ScoreGroups,
): number {
  const { heads, rows, columns } = problem.geometry;
  const lines = imageCount(problem) * heads * rows;
  return isRowMetric(metricOf(problem, decided)) ? lines : lines * columns * gradientRms ** 2;
}
