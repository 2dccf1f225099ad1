import type { AdapterDescription, FileComparison, Nearness, Runtime } from '../node.ts';
import type { Call, Context } from './command.ts';
import { EXIT, UsageError } from './errors.ts';
import type { EvaluateFlags } from './evaluateFlags.ts';
import { accuracyTable, nearnessRows } from './evaluationSummary.ts';
import { loadModel } from './loadModel.ts';
import { openRunner } from './openRunner.ts';
import { adapterText } from './runReport.ts';
import { formatBytes, formatDuration, formatPercent, plural, table } from './text.ts';

/** What `evaluate --json` prints of a model file. */
interface FileReport extends FileComparison {
  readonly runtime: Runtime;
  readonly modelFileBytes: number;
  readonly seconds: number;
  /** Null where none was needed. */
  readonly adapter: AdapterDescription | null;
}

/** A model file by one of the runtimes, against its float original where that is given. */
export async function evaluateFile({ values, positionals }: Call<EvaluateFlags>, context: Context): Promise<number> {
  const { print, progress, signal } = context;
  const started = performance.now();
  const node = await import('../node.ts');
  const { runtime, against, recipe: recipeFolder } = values;
  const path = positionals[0] as string;
  if (recipeFolder !== undefined && against === undefined) {
    throw new UsageError('--recipe with a model file needs its float model too: --against <model>');
  }
  const file = await node.loadModelFile(path);
  const folder = await node.listImageFolder(values.images);
  const labels = await node.loadLabels(folder, values.labels, file.model.architecture.numClasses);
  if (!labels && against === undefined) {
    throw new UsageError(
      `${values.images} has no labels.csv, so nothing can be measured; give --labels <file>, --against <model>, or both`,
    );
  }
  const model = against === undefined ? undefined : (await loadModel(against, context)).model;
  const recipe =
    model && against !== undefined && recipeFolder !== undefined
      ? await node.loadRecipeFolder(recipeFolder, model, against)
      : undefined;
  if (model && against !== undefined) await node.checkOriginal(file, model, against, recipe);
  const opening = { runtime, needsAdapter: model !== undefined, withoutAdapter: '--runtime reference' };
  const { runner, gpu, close } = await openRunner(file, opening, progress);
  try {
    const comparison = await node.evaluateModelFile(file, runner, folder, {
      labels,
      ...(model && gpu ? { against: { gpu, model, ...(recipe ? { recipe } : {}) } } : {}),
      ...(values['skip-bad-images'] ? { onBadImage: (why) => progress.note(`twinshift: skipped: ${why}`) } : {}),
      onProgress: (done, total) => progress.report({ stage: 'evaluating', done, total }),
      signal,
    });
    gpu?.check();
    const report: FileReport = {
      ...comparison,
      runtime,
      modelFileBytes: file.byteLength,
      seconds: (performance.now() - started) / 1000,
      adapter: gpu?.adapter ?? null,
    };
    progress.clear();
    print(values.json ? `${JSON.stringify(report, null, 2)}\n` : summary(report, model !== undefined));
    return EXIT.ok;
  } finally {
    close();
  }
}

/** In a headline, and as the name of a row. */
const RUNTIMES: Readonly<Record<Runtime, readonly [string, string]>> = {
  integer: ['integers only', 'integer'],
  mixed: ['integer products, the rest in float', 'mixed'],
  reference: ['integers only, in plain TypeScript', 'integer'],
};

function summary(report: FileReport, compared: boolean): string {
  const { images, simulation, adapter } = report;
  const [headline, row] = RUNTIMES[report.runtime];
  return `${[
    `${plural(images, 'image')}, ${headline}${compared ? ', against float' : ''}`,
    ...accuracyTable(report, row),
    ...table([
      ...(compared ? nearnessRows(report, report.topOneDropPoints) : []),
      ...(simulation ? [['simulation', simulationText(simulation)]] : []),
      ['model file', formatBytes(report.modelFileBytes)],
      ['time', formatDuration(1000 * report.seconds)],
      ['adapter', adapter ? adapterText(adapter) : 'none'],
    ]),
  ].join('\n')}\n`;
}

function simulationText({ agreement, klDivergence, logitSqnrDb }: Nearness): string {
  const sqnr = logitSqnrDb === null ? 'no error' : `logit SQNR ${logitSqnrDb.toFixed(1)} dB`;
  return `of the recipe: agreement ${formatPercent(agreement)}, KL ${klDivergence.toPrecision(3)} nats, ${sqnr}`;
}
