import * as Plot from '@observablehq/plot';
import type { ReportCurve } from '../../calibrate/layerReportCurves.ts';
import { INK, labelled, type ChartSize } from './chart.ts';

/** A curve of another measure over the same kind of factors, such as the true loss of `twinshift curve`. */
export interface ExtraCurve {
  readonly name: string;
  readonly factors: readonly number[];
  readonly values: readonly number[];
}

/** Legible on dark and on light ground. */
const COLOURS = ['#d6453d', '#3b82c4', '#2f9e68', '#c07f1a', '#9a5fd0', '#0e9aa7', '#c0569a'];

/** Of what is no metric: the true loss stands out from all of them. */
const EXTRA_COLOURS = ['var(--chart-ink)', 'var(--chart-faint)'];

/** Highest relative score that is drawn: what is far from the minimum says nothing. */
const CEILING = 100;
/** How far beyond the factors of the metrics other measures are drawn. */
const REACH = 1.5;

/** The scores of every metric around the chosen scale, each over its least, on logarithmic axes. */
export function scoreCurvesChart(
  { factors, metrics }: ReportCurve,
  { width, document }: ChartSize,
  extra: readonly ExtraCurve[] = [],
): Element {
  const curves: ExtraCurve[] = [
    ...Object.entries(metrics).map(([name, values]) => ({ name, factors, values })),
    ...extra,
  ];
  const [first, last] = [Math.min(...factors) / REACH, Math.max(...factors) * REACH];
  const points = curves.flatMap(({ name, factors: xs, values }) => {
    const least = Math.min(...values);
    return xs.flatMap((x, i) => {
      const y = (values[i] as number) / least;
      return y >= 1 && y <= CEILING && x >= first && x <= last
        ? [{ x, y, name, wide: name === 'hessian' || !(name in metrics), lowest: y === 1 }]
        : [];
    });
  });
  const names = curves.map(({ name }) => name);
  const colours = [...COLOURS.slice(0, names.length - extra.length), ...EXTRA_COLOURS.slice(0, extra.length)];
  const chart = Plot.plot({
    width,
    height: 260,
    marginLeft: 48,
    marginBottom: 42,
    marginRight: 12,
    document,
    style: { fontSize: '12px', color: INK },
    x: {
      type: 'log',
      base: 2,
      label: 'scale over the chosen one',
      labelOffset: 38,
      ticks: width < 500 ? 3 : 7,
      tickFormat: (value: number) => String(Number(value.toPrecision(3))),
    },
    y: {
      type: 'log',
      label: 'score over its least',
      grid: true,
      ticks: 5,
      tickFormat: '~g',
      domain: [1, Math.max(1.5, ...points.map(({ y }) => y))],
    },
    color: { legend: true, domain: names, range: colours },
    marks: [
      Plot.ruleX([1], { stroke: 'var(--chart-mark)', strokeWidth: 1.5, strokeDasharray: '4 3' }),
      Plot.line(points, { x: 'x', y: 'y', z: 'name', stroke: 'name', strokeWidth: 1.6 }),
      Plot.line(
        points.filter(({ wide }) => wide),
        { x: 'x', y: 'y', z: 'name', stroke: 'name', strokeWidth: 3 },
      ),
      Plot.dot(
        points.filter(({ lowest }) => lowest),
        { x: 'x', y: 'y', fill: 'name', r: 4 },
      ),
    ],
  });
  const lowest = curves.map(
    ({ name, factors: xs, values }) => `${name} is lowest at ${xs[values.indexOf(Math.min(...values))]}`,
  );
  return labelled(chart, `Score curves: ${lowest.join(', ')}`);
}
