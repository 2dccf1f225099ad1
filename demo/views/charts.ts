/** The charts of a layer. */
import type { LayerCurve } from '../../src/index.ts';
import type { Caption } from '../../src/report/captions.ts';
import { operandNames } from '../../src/report/operandNames.ts';
import { element } from '../dom.ts';
import { curveKey, lossCurves } from '../lossCurves.ts';
import type { LayerResult } from '../record.ts';
import type { Charts } from '../reportScript.ts';
import { lossPlace } from './trueLoss.ts';

let isStyled = false;

/**
 * Histograms of both operands with their points, and the score curves of both, each drawn when it is called. Pixels have neither.
 *
 * @param curves true losses that were computed, by `curveKey`
 */
export function layerCharts(
  { CAPTIONS, CHART_STYLE, histogramChart, scoreCurvesChart }: Charts,
  result: LayerResult,
  width: number,
  curves: ReadonlyMap<string, LayerCurve>,
): (() => HTMLElement)[] {
  const { report, layer } = result;
  if (!isStyled) document.head.append(element('style', {}, CHART_STYLE));
  isStyled = true;
  const size = { width, document };
  const captionOf = (operand: typeof report.operand) => CAPTIONS[operand === 'pixels' ? 'plain' : operand];
  const [first, second] = operandNames(report);
  const charts = [
    ...(report.operand === 'pixels'
      ? []
      : [() => figure(captionOf(report.operand), first, histogramChart(report.a, layer.a, size))]),
    () => figure(CAPTIONS.plain, second, histogramChart(report.b, layer.b, size)),
  ];
  const scores = report.curves.map((curve) => () => {
    const { operand } = curve;
    const loss = curves.get(curveKey(report.name, operand));
    const chart = scoreCurvesChart(curve, size, loss ? lossCurves(loss, layer[operand]) : []);
    return figure(CAPTIONS.curves, operand === 'a' ? first : second, chart, lossPlace(report.name, operand));
  });
  return [...charts, ...scores];
}

function figure({ title, lookFor, section }: Caption, what: string, chart: Element, ...more: Element[]): HTMLElement {
  const source = section === null ? '' : ` PTQ4ViT, ${section}.`;
  return element(
    'figure',
    {},
    element('figcaption', {}, element('b', {}, `${title}: ${what}`)),
    chart,
    element('p', { class: 'look' }, `What to look for: ${lookFor}${source}`),
    ...more,
  );
}
