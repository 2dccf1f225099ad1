import * as Plot from '@observablehq/plot';
import { INK, labelled, shortNumber, type ChartSize } from './chart.ts';

/** What a budget bought: cost against expected damage for every budget, and the choice that was made. */
export interface ParetoData {
  readonly unit: string;
  readonly budget: number;
  readonly cost: number;
  readonly damage: number;
  readonly curve: readonly { readonly cost: number; readonly damage: number }[];
}

export function paretoChart(
  { unit, budget, cost, damage, curve }: ParetoData,
  { width, document }: ChartSize,
): Element {
  const drawn = curve.filter((point) => point.damage > 0);
  const chosen = [{ cost, damage }].filter((point) => point.damage > 0);
  const chart = Plot.plot({
    width,
    height: 260,
    marginLeft: 60,
    marginRight: 12,
    document,
    style: { fontSize: '12px', color: INK },
    x: { label: unit, ticks: width < 500 ? 3 : 6, tickFormat: '~s' },
    y: { type: 'log', label: 'expected KL, nats', grid: true, ticks: 4, tickFormat: '~g' },
    marks: [
      Plot.ruleX([budget], { stroke: 'var(--chart-mark)', strokeDasharray: '4 3' }),
      Plot.line(drawn, { x: 'cost', y: 'damage', stroke: 'var(--chart-values)', strokeWidth: 2 }),
      Plot.dot(chosen, { x: 'cost', y: 'damage', fill: 'var(--chart-mark)', r: 5 }),
    ],
  });
  return labelled(
    chart,
    `${curve.length} best choices; chosen: ${shortNumber(cost)} ${unit}, ${shortNumber(damage)} nats`,
  );
}
