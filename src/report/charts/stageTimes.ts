import * as Plot from '@observablehq/plot';
import { INK, labelled, type ChartSize } from './chart.ts';

/** A bar for each stage of a run, the longest first. */
export function stageTimesChart(stageMs: Readonly<Record<string, number>>, { width, document }: ChartSize): Element {
  const stages = Object.entries(stageMs)
    .map(([stage, ms]) => ({ stage, seconds: ms / 1000 }))
    .toSorted((a, b) => b.seconds - a.seconds);
  const longest = stages[0]?.seconds ?? 0;
  const chart = Plot.plot({
    width,
    height: 44 + 22 * stages.length,
    marginLeft: Math.min(width / 2, 16 + 6.6 * Math.max(0, ...stages.map(({ stage }) => stage.length))),
    marginRight: 56,
    marginTop: 4,
    marginBottom: 36,
    document,
    style: { fontSize: '12px', color: INK },
    x: { label: 'seconds', ticks: width < 500 ? 3 : 6, domain: [0, longest || 1], grid: true },
    y: { domain: stages.map(({ stage }) => stage), label: null, tickSize: 0 },
    marks: [
      Plot.barX(stages, { x: 'seconds', y: 'stage', fill: 'var(--chart-values)' }),
      Plot.text(stages, {
        x: 'seconds',
        y: 'stage',
        text: ({ seconds }: { seconds: number }) => `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`,
        textAnchor: 'start',
        dx: 5,
        fill: INK,
      }),
    ],
  });
  return labelled(chart, `Times: ${stages.map(({ stage, seconds }) => `${stage} ${seconds.toFixed(2)} s`).join(', ')}`);
}
