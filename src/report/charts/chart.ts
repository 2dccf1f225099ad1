/** What every chart is told. Colours are custom properties of `CHART_STYLE`, so that a drawn chart follows the theme of its page. */
export interface ChartSize {
  /** CSS pixels. */
  readonly width: number;
  readonly document: Document;
}

/** Colours of charts in both themes; a page puts it into its style sheet. */
export const CHART_STYLE = `
:root { --chart-ink: #1c2530; --chart-faint: #8794a3; --chart-grid: #d5dce4; --chart-values: #7fa8d9; --chart-uniform: #c2410c;
  --chart-fine: #0f766e; --chart-coarse: #7c3aed; --chart-mark: #b91c1c; --chart-cell: #eef2f6; --chart-damage: #ea8560; }
@media (prefers-color-scheme: dark) {
  :root { --chart-ink: #e4e9f0; --chart-faint: #93a1b3; --chart-grid: #394452; --chart-values: #4f7db5; --chart-uniform: #fb923c;
    --chart-fine: #2dd4bf; --chart-coarse: #c4b5fd; --chart-mark: #fca5a5; --chart-cell: #1f2731; --chart-damage: #a8432a; }
}
.chart, .chart svg { display: block; max-width: 100%; height: auto; background: none; color: var(--chart-ink); overflow: visible; }
.chart, .chart figure { margin: 0; }
.chart [class*='-swatches'] { font-size: 12px; }
`;

export const INK = 'var(--chart-ink)';

/** `0.00123`, `12.3`, `1.2e+7`: three digits. */
export function shortNumber(value: number): string {
  const magnitude = Math.abs(value);
  if (value === 0) return '0';
  return magnitude < 1e-4 || magnitude >= 1e5 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

/** A drawn chart with its name for screen readers; those that Plot gives to the groups in it are of no role that can have one. */
export function labelled<T extends Element>(chart: T, label: string): T {
  for (const group of chart.querySelectorAll('g[aria-label]')) group.removeAttribute('aria-label');
  chart.setAttribute('role', 'img');
  chart.setAttribute('aria-label', label);
  chart.classList.add('chart');
  return chart;
}
