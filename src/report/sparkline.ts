import type { OperandReport } from '../calibrate/operandReport.ts';
import type { ReportCurve } from '../calibrate/layerReportCurves.ts';

const WIDTH = 84;
const HEIGHT = 22;

/** Bars of a histogram, logarithmic, small enough for a cell of a table. */
export function histogramSparkline(document: Document, { histogram }: OperandReport): SVGElement {
  const { counts } = histogram;
  const columns = Math.min(counts.length, WIDTH / 2);
  const sums = new Array<number>(columns).fill(0);
  counts.forEach((count, i) => {
    const column = Math.floor((i * columns) / counts.length);
    sums[column] = (sums[column] as number) + count;
  });
  const top = Math.log1p(Math.max(...sums)) || 1;
  const step = WIDTH / columns;
  const bars = sums.map((sum, i) => {
    const height = (Math.log1p(sum) / top) * HEIGHT;
    return `M${(i * step).toFixed(1)} ${HEIGHT}v${(-height).toFixed(1)}h${Math.max(1, step - 0.4).toFixed(1)}V${HEIGHT}z`;
  });
  return drawing(document, bars.join(''), 'fill:var(--chart-values)');
}

/** The curve of one metric, the Hessian-guided one where there is one, with a line at the chosen scale. */
export function curveSparkline(document: Document, { factors, chosen, metrics }: ReportCurve): SVGElement | null {
  const values = metrics.hessian ?? Object.values(metrics)[0];
  if (!values || factors.length < 2) return null;
  const [first, last] = [Math.log(factors[0] as number), Math.log(factors.at(-1) as number)];
  const x = (i: number) => 2 + ((Math.log(factors[i] as number) - first) / (last - first)) * (WIDTH - 4);
  const top = Math.log(Math.max(...values)) || 1;
  const y = (value: number) => HEIGHT - 2 - (Math.log(value) / top) * (HEIGHT - 4);
  const points = values.map((value, i) => `${x(i).toFixed(1)} ${y(value).toFixed(1)}`);
  const svg = drawing(document, `M${points.join('L')}`, 'fill:none;stroke:var(--chart-fine);stroke-width:1.6');
  const mark = svg.firstElementChild?.cloneNode() as SVGElement;
  mark.setAttribute('d', `M${x(chosen).toFixed(1)} 0V${HEIGHT}`);
  mark.style.cssText = 'stroke:var(--chart-mark);stroke-width:1;stroke-dasharray:2 2';
  svg.append(mark);
  return svg;
}

function drawing(document: Document, path: string, style: string): SVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  for (const [name, value] of Object.entries({ width: String(WIDTH), height: String(HEIGHT), 'aria-hidden': 'true' })) {
    svg.setAttribute(name, value);
  }
  const shape = document.createElementNS(namespace, 'path');
  shape.setAttribute('d', path);
  shape.style.cssText = style;
  svg.append(shape);
  return svg;
}
