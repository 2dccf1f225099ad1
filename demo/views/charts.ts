/** The charts of a layer, loaded when the first layer is chosen. */
import { CAPTIONS, type Caption } from '../../src/report/captions.ts';
import { CHART_STYLE } from '../../src/report/charts/chart.ts';
import { histogramChart } from '../../src/report/charts/histogram.ts';
import { scoreCurvesChart } from '../../src/report/charts/scoreCurves.ts';
import { operandNames } from '../../src/report/operandNames.ts';
import { element } from '../dom.ts';
import type { LayerResult } from '../record.ts';

let isStyled = false;

/** Histograms of both operands with their points, and the score curves of both. Pixels have neither. */
export function layerCharts(result: LayerResult, width: number): HTMLElement[] {
  const { report, layer } = result;
  if (!isStyled) document.head.append(element('style', {}, CHART_STYLE));
  isStyled = true;
  const size = { width, document };
  const captionOf = (operand: typeof report.operand) => CAPTIONS[operand === 'pixels' ? 'plain' : operand];
  const [first, second] = operandNames(report);
  const charts = [
    ...(report.operand === 'pixels'
      ? []
      : [figure(captionOf(report.operand), first, histogramChart(report.a, layer.a, size))]),
    figure(CAPTIONS.plain, second, histogramChart(report.b, layer.b, size)),
  ];
  const curves = report.curves.map((curve) =>
    figure(CAPTIONS.curves, curve.operand === 'a' ? first : second, scoreCurvesChart(curve, size)),
  );
  return [...charts, ...curves];
}

/** The chart has a name as a whole; those that Plot gives to the groups in it are no roles of theirs. */
function unnamedGroups(chart: Element): Element {
  for (const group of chart.querySelectorAll('g[aria-label]')) group.removeAttribute('aria-label');
  return chart;
}

function figure({ title, lookFor, section }: Caption, what: string, chart: Element): HTMLElement {
  const source = section === null ? '' : ` PTQ4ViT, ${section}.`;
  return element(
    'figure',
    {},
    element('figcaption', {}, element('b', {}, `${title}: ${what}`)),
    unnamedGroups(chart),
    element('p', { class: 'look' }, `What to look for: ${lookFor}${source}`),
  );
}
