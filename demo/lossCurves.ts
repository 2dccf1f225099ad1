/** What candidate scales of a layer truly do to the logits, as lines and in words. */
import type { LayerCurve, LayerRecipe } from '../src/index.ts';
import type { ExtraCurve } from '../src/report/charts/scoreCurves.ts';
import type { Operand } from './protocol.ts';
import { significant } from './text.ts';

/** The name of a curve among those of a run. */
export function curveKey(layer: string, operand: Operand): string {
  return `${layer} ${operand}`;
}

/** Lines for the chart of score curves, whose factors are of the scale that was chosen. */
export function lossCurves(curve: LayerCurve, chosen: LayerRecipe['a' | 'b']): ExtraCurve[] {
  const factors = factorsOf(curve, chosen);
  const { klDivergence, crossEntropy } = curve.curves;
  return [
    { name: 'KL divergence', factors, values: klDivergence },
    { name: 'cross-entropy', factors, values: crossEntropy },
  ];
}

/** Scales of the candidates over the chosen ones: their geometric mean over groups; after softmax those of the finer range. */
function factorsOf({ candidates, scales }: LayerCurve, chosen: LayerRecipe['a' | 'b']): number[] {
  if (chosen.type === 'twin-softmax') return candidates.map(({ shift }) => 2 ** (chosen.shift - (shift ?? 0)));
  const own =
    chosen.type === 'twin-gelu' ? [chosen.scaleR2] : chosen.type === 'uniform' ? chosen.scales : ([1] as const);
  const ratio = geometricMean(scales) / geometricMean(own);
  return candidates.map(({ factor }) => (factor ?? 1) * ratio);
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Where the true loss is lowest. */
export function lossText(curve: LayerCurve, chosen: LayerRecipe['a' | 'b']): string {
  const factors = factorsOf(curve, chosen);
  const { images, minima, curves, crossEntropyAgainst } = curve;
  const at = (measure: 'klDivergence' | 'crossEntropy') =>
    `${significant(factors[minima[measure]] as number)} of the chosen scale (${significant(curves[measure][minima[measure]] as number)} nats)`;
  const against = crossEntropyAgainst === 'labels' ? 'the labels' : 'the first class of the float network';
  return (
    `On ${images} of the pictures it was calibrated with (few, so the curves are rough), the other operand at 8 bits and its largest value: ` +
    `KL divergence is lowest at ${at('klDivergence')}, cross-entropy against ${against} at ${at('crossEntropy')}.`
  );
}
