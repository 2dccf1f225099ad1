import { tieGelu } from '../kernels/quantizeTwinGelu.ts';
import type { GpuContext } from '../quantize/context.ts';
import { isIntegerProduct } from '../quantize/floatQuantizer.ts';
import { twinShift, type ActivationQuantizer, type UniformQuantizer } from '../quantize/quantizer.ts';
import { scoreCandidates, type CapturedChunk, type LayerProblem, type ScoreGroups } from './layerScorer.ts';
import { METRICS, type Metric } from './options.ts';
import type { LayerRecipe } from './recipe.ts';

/** What every metric says of the scales around the one that was chosen, the other operand being as chosen. */
export interface ReportCurve {
  readonly operand: 'a' | 'b';
  /** Scale over the chosen one, ascending; of twin ranges after softmax that of their finer range. */
  readonly factors: readonly number[];
  /** Where in `factors` the chosen one is: its factor is 1. */
  readonly chosen: number;
  /**
   * Score over the least of its curve, which is 1; four digits. A metric is left out where a score is 0 or not finite, and `hessian`
   * where the calibration had no gradients.
   */
  readonly metrics: Readonly<Partial<Record<Metric, readonly number[]>>>;
}

/** Factors are `2^(i / OCTAVE_STEPS)`, an octave down and up. */
const OCTAVE_STEPS = 4;

/** Rows of the output that curves are of, over heads: as many of the first images as fit, one at least. */
const CURVE_ROWS = 256;

/** Curves of both operands of a layer over the first images of a problem with one chunk; weights are rounded to the nearest code. */
export async function layerCurves(
  context: GpuContext,
  { chunks, ...layerProblem }: LayerProblem,
  layer: LayerRecipe,
  hasGradient: boolean,
): Promise<ReportCurve[]> {
  if (!isIntegerProduct(layer)) return [];
  const { a, b, maxShift } = layer;
  const [chunk] = chunks as readonly [CapturedChunk];
  const { heads, rows } = layerProblem.geometry;
  const images = Math.min(chunk.images, Math.max(1, Math.floor(CURVE_ROWS / (heads * rows))));
  const problem = { ...layerProblem, chunks: [{ ...chunk, images }] };
  const groups: ScoreGroups = problem.geometry.heads > 1 ? { by: 'heads' } : { by: 'columns', parts: 1 };
  const curves: ReportCurve[] = [];
  for (const operand of ['a', 'b'] as const) {
    if (operand === 'a' && a.type === 'pixels') continue;
    const points = operand === 'a' ? leftCandidates(a, Math.max(maxShift ?? 0, twinShift(a))) : rightCandidates(b);
    const lefts = operand === 'a' ? points.map(({ quantizer }) => quantizer) : [a];
    const rights = operand === 'b' ? points.map(({ quantizer }) => quantizer as UniformQuantizer) : [b];
    const metrics: Partial<Record<Metric, readonly number[]>> = {};
    for (const metric of METRICS) {
      if (metric === 'hessian' && !hasGradient) continue;
      const totals = await scoreCandidates(context, { ...problem, metric }, lefts, rights, groups, () => undefined);
      const scores = totals.map((parts) => parts.reduce((sum, part) => sum + part, 0));
      const least = Math.min(...scores);
      if (!(least > 0 && scores.every(Number.isFinite))) continue;
      metrics[metric] = scores.map((score) => Number((score / least).toPrecision(4)));
    }
    const factors = points.map(({ factor }) => Number(factor.toPrecision(6)));
    curves.push({ operand, factors, chosen: factors.indexOf(1), metrics });
  }
  return curves;
}

interface Candidate<Quantizer> {
  readonly factor: number;
  readonly quantizer: Quantizer;
}

function factors(): number[] {
  return Array.from({ length: 2 * OCTAVE_STEPS + 1 }, (_, i) => 2 ** (i / OCTAVE_STEPS - 1));
}

function rightCandidates(b: UniformQuantizer): Candidate<UniformQuantizer>[] {
  return factors().map((factor) => ({ factor, quantizer: scaled(b, factor) }));
}

function leftCandidates(a: ActivationQuantizer, maxShift: number): Candidate<ActivationQuantizer>[] {
  switch (a.type) {
    case 'uniform':
      return factors().map((factor) => ({ factor, quantizer: scaled(a, factor) }));
    case 'twin-gelu':
      return factors().map((factor) => {
        const scaleR2 = Math.fround(a.scaleR2 * factor);
        const shift = factor === 1 ? a.shift : tieGelu(scaleR2, a.bits, maxShift).shift;
        return { factor, quantizer: { ...a, scaleR2, shift } };
      });
    case 'twin-softmax':
      return Array.from({ length: maxShift + 1 }, (_, i) => maxShift - i).map((shift) => ({
        factor: 2 ** (a.shift - shift),
        quantizer: { ...a, shift },
      }));
    case 'levels':
      return factors().map((factor) => ({ factor, quantizer: { ...a, step: Math.fround(a.step * factor) } }));
    case 'pixels':
      return [];
  }
}

function scaled(quantizer: UniformQuantizer, factor: number): UniformQuantizer {
  return { ...quantizer, scales: quantizer.scales.map((scale) => Math.fround(scale * factor)) };
}
