import type { DiffData } from './compareRecipes.ts';
import { diffPage } from './diffPage.ts';
import { reportPage, type ReportData } from './reportPage.ts';

/** The script of a report file: draws the data that the file holds. The page loads the same file for its charts. */
export { CAPTIONS } from './captions.ts';
export { CHART_STYLE } from './charts/chart.ts';
export { histogramChart } from './charts/histogram.ts';
export { scoreCurvesChart } from './charts/scoreCurves.ts';

const held = document.getElementById('data');
if (held) {
  const data = JSON.parse(held.textContent ?? '') as ReportData | DiffData;
  const width = Math.max(280, document.documentElement.clientWidth - 32);
  document.body.append(data.kind === 'report' ? reportPage(document, data, width) : diffPage(document, data));
}
