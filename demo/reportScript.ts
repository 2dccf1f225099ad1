/** The script that draws reports, beside the page: its charts are those of the page, and a report that is downloaded holds it. */
export const REPORT_SCRIPT = 'reportScript.js';

export type Charts = typeof import('../src/report/reportScript.ts');

/** Loads the charts. */
export async function loadCharts(): Promise<Charts> {
  const address = new URL(REPORT_SCRIPT, document.baseURI).href;
  return (await import(/* @vite-ignore */ address)) as Charts;
}
