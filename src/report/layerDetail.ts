import { CAPTIONS, type Caption } from './captions.ts';
import type { ChartSize } from './charts/chart.ts';
import { histogramChart } from './charts/histogram.ts';
import { scoreCurvesChart, type ExtraCurve } from './charts/scoreCurves.ts';
import type { LayerView } from './data.ts';
import { elementsOf } from './element.ts';
import { operandNames } from './operandNames.ts';
import { quantizerText, scalesText, shareText } from './text.ts';

/**
 * A picture with its title, what to look for and where the paper tells of it.
 *
 * @param chart draws it; told again when the room for it changes, as on a phone that is turned
 */
export function picture(
  { width, document }: ChartSize,
  { title, lookFor, section }: Caption,
  what: string,
  chart: (size: ChartSize) => Element,
): HTMLElement {
  const make = elementsOf(document);
  const holder = make('div', {}, chart({ width, document }));
  let drawn = width;
  new ResizeObserver(([entry]) => {
    const room = Math.floor(entry?.contentRect.width ?? 0);
    if (room === 0 || Math.abs(room - drawn) < 2) return;
    drawn = room;
    holder.replaceChildren(chart({ width: room, document }));
  }).observe(holder);
  const source = section === null ? '' : ` PTQ4ViT, ${section}.`;
  return make(
    'figure',
    { class: 'picture' },
    make('h4', {}, what === '' ? title : `${title}: ${what}`),
    holder,
    make('figcaption', {}, `${lookFor}${source}`),
  );
}

/** Everything about one layer: figures, histograms of both operands with their points, score curves. */
export function layerDetail(
  document: Document,
  { name, a, b, score, report }: LayerView,
  width: number,
  extra: readonly ExtraCurve[] = [],
): HTMLElement {
  const make = elementsOf(document);
  const [first, second] = report ? operandNames(report) : ['left operand', 'right operand'];
  const facts: [string, string][] = [
    [`a: ${first}`, `${quantizerText(a)}${a.scales ? `, scale ${scalesText(a)}` : ''}`],
    [`b: ${second}`, `${quantizerText(b)}${b.scales ? `, scale ${scalesText(b)}` : ''}`],
    ['score', score.toExponential(2)],
  ];
  if (report) {
    const lost = ({ clipped, saturated }: typeof report.a) =>
      `${shareText(clipped)} clipped, ${shareText(saturated)} at an end`;
    facts.push(
      ['output', `SQNR ${report.sqnrDb.toFixed(1)} dB, cosine ${report.cosine.toFixed(5)}, over ${report.rows} rows`],
      [`values of a, the ${first}`, lost(report.a)],
      [`values of b, the ${second}`, lost(report.b)],
    );
  }
  const size = { width, document };
  const pictures: HTMLElement[] = [];
  if (report) {
    const shaped = report.operand === 'post-softmax' || report.operand === 'post-gelu';
    pictures.push(
      picture(size, CAPTIONS[shaped ? report.operand : 'plain'], first, (fit) =>
        histogramChart(report.a, a.quantizer, fit),
      ),
      picture(size, CAPTIONS.plain, second, (fit) => histogramChart(report.b, b.quantizer, fit)),
    );
    for (const curve of report.curves) {
      if (Object.keys(curve.metrics).length === 0) continue;
      const what = curve.operand === 'a' ? first : second;
      pictures.push(picture(size, CAPTIONS.curves, what, (fit) => scoreCurvesChart(curve, fit, extra)));
    }
  }
  const list = make(
    'dl',
    { class: 'facts' },
    ...facts.map(([term, text]) => make('div', {}, make('dt', {}, term), make('dd', {}, text))),
  );
  return make('div', { class: 'detail', 'data-layer': name }, list, make('div', { class: 'pictures' }, ...pictures));
}
