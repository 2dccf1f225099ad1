import * as Plot from '@observablehq/plot';
import type { OperandReport } from '../../calibrate/operandReport.ts';
import type { LeftQuantizer, RightQuantizer } from '../../quantize/floatQuantizer.ts';
import { quantizationPoints, uniformPoints } from '../quantizationPoints.ts';
import { INK, labelled, shortNumber, type ChartSize } from './chart.ts';

const UNIFORM = 'one uniform range';

/** Pixels between two points below which their strokes would only be a pattern of their own: a bar is drawn instead. */
const LEAST_GAP = 2.5;

/** Points of one range. */
interface PointRow {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly number[];
}

/**
 * The values of an operand in bins, and below them the points that codes stand for: of one uniform range of the same width, and of the
 * quantizer that was chosen, twin ranges apart.
 */
export function histogramChart(
  { histogram }: Pick<OperandReport, 'histogram'>,
  quantizer: LeftQuantizer | RightQuantizer,
  { width, document }: ChartSize,
): HTMLElement {
  const { low, high, counts } = histogram;
  const size = (high - low) / counts.length || 1;
  const bins = counts.flatMap((count, i) => {
    return count > 0 ? [{ x1: low + i * size, x2: low + (i + 1) * size, count }] : [];
  });
  const margin = (high - low || 1) * 0.02;
  const among = (points: readonly number[]) =>
    points.filter((x) => x >= low - margin / 100 && x <= high + margin / 100);
  const { fine, coarse } = quantizationPoints(quantizer);
  const isTwin = coarse.length > 0;
  const isUniform = quantizer.type === 'uniform' || quantizer.type === 'pixels';
  const chosen = isTwin ? 'fine range' : isUniform ? 'the range chosen' : 'the levels chosen';
  const rows: PointRow[] = [
    { name: UNIFORM, colour: 'var(--chart-uniform)', points: among(uniformPoints(quantizer.bits, low, high)) },
    { name: chosen, colour: 'var(--chart-fine)', points: among(fine) },
    ...(isTwin ? [{ name: 'coarse range', colour: 'var(--chart-coarse)', points: among(coarse) }] : []),
  ];
  const pixels = width / (high - low + 2 * margin);
  const isDense = ({ points }: PointRow) => stepOf(points) * pixels < LEAST_GAP;
  const ticks = rows
    .filter((row) => !isDense(row))
    .flatMap(({ name, colour, points }) => points.map((x) => ({ x, name, colour })));
  const x = { domain: [low - margin, high + margin], ticks: Math.max(3, Math.round(width / 110)) };
  const style = { fontSize: '12px', color: INK };
  const sizes = { width, marginLeft: 48, marginRight: 12, document, style };
  const values = Plot.plot({
    ...sizes,
    height: 170,
    marginBottom: 6,
    x: { ...x, axis: null },
    y: {
      type: 'log',
      domain: [0.7, Math.max(2, ...counts)],
      ticks: 4,
      tickFormat: '~s',
      label: 'values in a bin',
      grid: true,
    },
    marks: [
      Plot.rectY(bins, { x1: 'x1', x2: 'x2', y1: () => 0.7, y2: 'count', fill: 'var(--chart-values)', inset: 0 }),
    ],
  });
  const points = Plot.plot({
    ...sizes,
    height: 30 + 42 * rows.length,
    marginTop: 4,
    marginBottom: 24,
    x: { ...x, label: null },
    y: { domain: rows.map(({ name }) => name), axis: null, padding: 0.5, paddingOuter: 0.1, align: 1 },
    marks: [
      Plot.tickX(ticks, { x: 'x', y: 'name', stroke: 'colour', strokeWidth: 1, strokeOpacity: 0.85 }),
      Plot.barX(rows.filter(isDense), {
        x1: ({ points }: PointRow) => points[0],
        x2: ({ points }: PointRow) => points.at(-1),
        y: 'name',
        fill: 'colour',
        fillOpacity: 0.85,
      }),
      Plot.text(rows, {
        y: 'name',
        text: ({ name, points }: PointRow) =>
          points.length < 2 ? name : `${name}: ${points.length} points, ${shortNumber(stepOf(points))} apart`,
        frameAnchor: 'left',
        textAnchor: 'start',
        dy: -19,
        fill: INK,
      }),
    ],
  });
  const figure = document.createElement('div');
  figure.append(values, points);
  const label =
    `Histogram from ${shortNumber(low)} to ${shortNumber(high)}; ` +
    rows.map(({ name, points }) => `${points.length} points of ${name}`).join(', ');
  return labelled(figure, label);
}

/** Mean distance of neighbours; points of levels are not evenly spread. */
function stepOf(points: readonly number[]): number {
  return points.length < 2 ? Infinity : ((points.at(-1) as number) - (points[0] as number)) / (points.length - 1);
}
