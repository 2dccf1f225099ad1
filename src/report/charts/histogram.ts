import * as Plot from '@observablehq/plot';
import type { OperandReport } from '../../calibrate/operandReport.ts';
import type { LeftQuantizer, RightQuantizer } from '../../quantize/floatQuantizer.ts';
import { quantizationPoints, uniformPoints } from '../quantizationPoints.ts';
import { INK, labelled, shortNumber, type ChartSize } from './chart.ts';

const UNIFORM = 'one uniform range';

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
  const shown = (points: readonly number[], row: string, colour: string) =>
    points.filter((x) => x >= low - margin && x <= high + margin).map((x) => ({ x, row, colour }));
  const { fine, coarse } = quantizationPoints(quantizer);
  const isTwin = coarse.length > 0;
  const isUniform = quantizer.type === 'uniform' || quantizer.type === 'pixels';
  const chosen = isTwin ? 'fine range' : isUniform ? 'the range chosen' : 'the levels chosen';
  const ticks = [
    ...shown(uniformPoints(quantizer.bits, low, high), UNIFORM, 'var(--chart-uniform)'),
    ...shown(fine, chosen, 'var(--chart-fine)'),
    ...shown(coarse, 'coarse range', 'var(--chart-coarse)'),
  ];
  const rows = [UNIFORM, chosen, ...(isTwin ? ['coarse range'] : [])];
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
    y: { domain: rows, axis: null, padding: 0.5, paddingOuter: 0.1, align: 1 },
    marks: [
      Plot.tickX(ticks, { x: 'x', y: 'row', stroke: 'colour', strokeWidth: 1, strokeOpacity: 0.85 }),
      Plot.text(rows, {
        y: (row: string) => row,
        text: (row: string) => row,
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
    rows.map((row) => `${ticks.filter((tick) => tick.row === row).length} points of ${row}`).join(', ');
  return labelled(figure, label);
}
