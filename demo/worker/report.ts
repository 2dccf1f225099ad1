/** The run as one HTML file: what `twinshift report` makes of the recipe and the run that can be downloaded. */
import { recipeView } from '../../src/report/data.ts';
import { reportHtml } from '../../src/report/html.ts';
import { readEvaluation, readRun } from '../../src/report/readRun.ts';
import { REPORT_SCRIPT } from '../reportScript.ts';
import type { FinishedRun } from './quantize.ts';
import { runFile } from './runFile.ts';

export async function reportFile(run: FinishedRun, base: string): Promise<string> {
  const address = new URL(REPORT_SCRIPT, base).href;
  const response = await fetch(address);
  if (!response.ok) {
    throw new Error(`${address} cannot be had: HTTP ${response.status}. Serve the whole folder of the page.`);
  }
  const view = recipeView(run.recipe, run.record.model.name, readRun(runFile(run), 'the run'));
  const evaluation = readEvaluation(JSON.stringify(run.record.comparison), 'the comparison');
  return reportHtml({ kind: 'report', recipe: view, evaluation }, await response.text());
}
