import { klDivergence, logSumExp } from '../evaluate/divergence.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Model } from '../model/load.ts';
import type { CalibrationImage } from './imageChunks.ts';
import { METRICS, type Metric } from './options.ts';
import type { Control } from './progress.ts';
import { scoreCurve, type CurveInput } from './scoreCurve.ts';

/** Metrics of the search, and what candidates truly do to the logits. */
export const CURVE_MEASURES = [...METRICS, 'klDivergence', 'crossEntropy'] as const;
export type CurveMeasure = Metric | 'klDivergence' | 'crossEntropy';

export interface CurveCandidate {
  /** Of the scale that holds the largest value; null where the candidate is a shift. */
  readonly factor: number | null;
  /** The f32 scale, of R2 for twin ranges after GELU; null where groups have scales of their own, or there is none. */
  readonly scale: number | null;
  /** The twin shift; null without twin ranges. */
  readonly shift: number | null;
}

export interface LayerCurve {
  /** Type of the quantizer of the operand that varies. */
  readonly quantizer: string;
  readonly images: number;
  /** What the cross-entropy is against: labels, or the first class of the float model. */
  readonly crossEntropyAgainst: 'labels' | 'float top-1';
  /** f32 scales of the operand at factor 1, one a group: they hold its largest values. None where the candidates are shifts. */
  readonly scales: readonly number[];
  readonly candidates: readonly CurveCandidate[];
  /** A value a candidate. */
  readonly curves: Readonly<Record<CurveMeasure, readonly number[]>>;
  /** Index of the lowest value of each, the first of equals. */
  readonly minima: Readonly<Record<CurveMeasure, number>>;
}

/**
 * Every metric over the candidates of one operand of a layer, beside the mean KL divergence and cross-entropy of the logits that each
 * candidate leads to (PTQ4ViT, figure 5).
 *
 * @param labels class of every image; null: the first class of the float model stands for it
 * @throws CalibrationError for a layer that the model lacks, for pixels, which are exact, and for a gradient that is zero everywhere
 */
export async function layerCurve(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  labels: readonly number[] | null,
  input: CurveInput,
  control: Control = {},
): Promise<LayerCurve> {
  const { points, scales, scores, logits, floatLogits } = await scoreCurve(gpu, model, images, input, control);
  const classes = model.network.numClasses;
  const rowsOf = (all: Float32Array) => images.map((_, image) => all.subarray(image * classes, (image + 1) * classes));
  const float = rowsOf(floatLogits);
  const targets = labels ?? float.map((row) => row.indexOf(Math.max(...row)));
  const mean = (all: Float32Array, measure: (row: Float32Array, image: number) => number) =>
    rowsOf(all).reduce((sum, row, image) => sum + measure(row, image), 0) / images.length;
  const curves = {
    ...scores,
    klDivergence: logits.map((all) => mean(all, (row, image) => klDivergence(float[image] as Float32Array, row))),
    crossEntropy: logits.map((all) =>
      mean(all, (row, image) => logSumExp(row) - (row[targets[image] as number] as number)),
    ),
  };
  const lowest = (values: readonly number[]) => values.indexOf(Math.min(...values));
  const first = points[0]?.[input.operand];
  return {
    quantizer: first?.type ?? 'uniform',
    images: images.length,
    crossEntropyAgainst: labels ? 'labels' : 'float top-1',
    scales,
    candidates: points.map((point) => ({ factor: point.factor, ...scaleOf(point[input.operand]) })),
    curves,
    minima: Object.fromEntries(CURVE_MEASURES.map((name) => [name, lowest(curves[name])])) as Record<
      CurveMeasure,
      number
    >,
  };
}

function scaleOf(quantizer: Awaited<ReturnType<typeof scoreCurve>>['points'][number]['a']) {
  switch (quantizer.type) {
    case 'uniform':
      return { scale: quantizer.scales.length === 1 ? (quantizer.scales[0] as number) : null, shift: null };
    case 'twin-gelu':
      return { scale: quantizer.scaleR2, shift: quantizer.shift };
    case 'twin-softmax':
      return { scale: null, shift: quantizer.shift };
    default:
      return { scale: null, shift: null };
  }
}
