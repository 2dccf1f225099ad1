import { CAPTIONS } from './captions.ts';
import { layerMap } from './charts/layerMap.ts';
import { paretoChart } from './charts/pareto.ts';
import { stageTimesChart } from './charts/stageTimes.ts';
import type { LayerView, RecipeView } from './data.ts';
import { elementsOf } from './element.ts';
import { layerDetail, picture } from './layerDetail.ts';
import type { EvaluationData } from './readRun.ts';
import { sortableTable, type Column } from './sortableTable.ts';
import { curveSparkline, histogramSparkline } from './sparkline.ts';
import { bytesText, percentText, quantizerText, scalesText, secondsText, shareText } from './text.ts';

/** What a report is of; plain JSON-able data. */
export interface ReportData {
  readonly kind: 'report';
  readonly recipe: RecipeView;
  readonly evaluation: EvaluationData | null;
}

const WITHOUT_ACCURACY = 'Accuracy is shown where the report is given what evaluate --json printed, by ';

/** The report as elements for a page that is `width` CSS pixels wide. */
export function reportPage(document: Document, { recipe, evaluation }: ReportData, width: number): HTMLElement {
  const make = elementsOf(document);
  const { layers, run } = recipe;
  const reported = layers.some(({ report }) => report !== null);
  const wide = Math.min(width, 1180);
  const half = width < 820 ? wide : Math.floor((wide - 24) / 2);
  const detail = make('div', { 'aria-live': 'polite' });
  const choice = make('select', { id: 'layer' }, ...layers.map(({ name }) => make('option', { value: name }, name)));
  const show = (name: string) => {
    const layer = layers.find((each) => each.name === name) as LayerView;
    choice.value = name;
    detail.replaceChildren(layerDetail(document, layer, half));
  };
  choice.addEventListener('change', () => show(choice.value));
  const select = (name: string) => {
    show(name);
    choice.scrollIntoView({ block: 'start' });
    choice.focus({ preventScroll: true });
  };
  const worst = layers.toSorted((x, y) => damage(x) - damage(y))[0];
  if (worst) show(worst.name);
  const cells = layers.map(({ name, unit, report }) => ({ name, unit, sqnrDb: report?.sqnrDb ?? null }));
  const size = { width: wide, document };
  const column = { width: half, document };
  const pareto = run?.pareto;
  const without =
    'The run kept no figures of single layers: quantize with --report writes them into the file beside the recipe.';
  return make(
    'main',
    {},
    make('h1', {}, `${recipe.label}`),
    make('p', {}, `${recipe.architecture}, quantized by Twinshift on ${recipe.images} images.`),
    make('h2', {}, 'Summary'),
    summary(document, recipe, evaluation),
    ...(evaluation ? [] : [make('p', { class: 'soft' }, WITHOUT_ACCURACY, make('code', {}, '--evaluation'), '.')]),
    ...(run?.warnings.length
      ? [make('ul', { class: 'warnings' }, ...run.warnings.map((text) => make('li', {}, text)))]
      : []),
    ...(reported ? [] : [make('p', { class: 'note' }, without)]),
    make('h2', {}, 'Layers'),
    ...(reported ? [picture(size, CAPTIONS.map, '', (fit) => layerMap(cells, fit, select))] : []),
    layerTable(document, layers, select, reported),
    make('h2', {}, 'One layer'),
    make('p', {}, make('label', { for: 'layer' }, 'Layer '), choice),
    detail,
    ...(run ? [make('h2', {}, 'Run')] : []),
    make(
      'div',
      { class: 'pictures' },
      ...(run ? [picture(column, CAPTIONS.stages, '', (fit) => stageTimesChart(run.stageMs, fit))] : []),
      ...(pareto ? [picture(column, CAPTIONS.pareto, '', (fit) => paretoChart(pareto, fit))] : []),
    ),
    make('details', {}, make('summary', {}, 'Options'), facts(document, optionRows(recipe))),
  );
}

function optionRows({ options }: RecipeView): [string, string][] {
  return Object.entries(options).map(([name, value]) => [
    name,
    typeof value === 'object' ? JSON.stringify(value) : String(value),
  ]);
}

/** Lower is worse. */
function damage({ report, score }: LayerView): number {
  return report ? report.sqnrDb : -score;
}

function summary(document: Document, { run, ...recipe }: RecipeView, evaluation: EvaluationData | null): HTMLElement {
  const rows: (readonly [string, string])[] = [];
  if (evaluation) {
    const { images, top1, floatTop1, top5, floatTop5, agreement, klDivergence, logitSqnrDb } = evaluation;
    const both = (float: number | null, quantized: number | null) =>
      `${float === null ? '?' : percentText(float, 2)} float, ${quantized === null ? '?' : percentText(quantized, 2)} quantized`;
    if (top1 !== null || floatTop1 !== null) rows.push(['top-1', `${both(floatTop1, top1)}, ${images} images`]);
    if (top5 !== null || floatTop5 !== null) rows.push(['top-5', both(floatTop5, top5)]);
    if (agreement !== null) rows.push(['same first class', percentText(agreement, 2)]);
    if (klDivergence !== null) rows.push(['KL divergence', `${klDivergence.toPrecision(3)} nats`]);
    if (logitSqnrDb !== null) rows.push(['logit SQNR', `${logitSqnrDb.toFixed(1)} dB`]);
  }
  const bits = (value: number) => String(Number(value.toFixed(2)));
  rows.push(['mean bits', `${bits(recipe.meanWeightBits)} weights, ${bits(recipe.meanActivationBits)} activations`]);
  if (run) {
    rows.push([
      'weights',
      `${bytesText(run.floatWeightBytes)} float, ${bytesText(run.quantizedWeightBytes)} quantized`,
    ]);
    if (run.modelFileBytes !== null) {
      rows.push([
        'model file',
        `${bytesText(run.modelFileBytes)}, ${percentText(run.modelFileBytes / run.floatWeightBytes)} of float`,
      ]);
    }
    const resident = run.peakProcessBytes === null ? '' : `${bytesText(run.peakProcessBytes)} process, `;
    rows.push(
      ['time', `${secondsText(run.seconds)}, ${Math.round(run.candidates)} candidates`],
      ['peak memory', `${resident}${bytesText(run.peakDeviceBytes)} device`],
      ['adapter', run.adapter],
    );
    if (run.skippedImages.length > 0) rows.push(['unreadable images', run.skippedImages.join(', ')]);
  }
  rows.push(['preset', recipe.options.preset], ['weights SHA-256', recipe.weightsSha256]);
  return facts(document, rows);
}

function facts(document: Document, rows: readonly (readonly [string, string])[]): HTMLElement {
  const make = elementsOf(document);
  return make(
    'dl',
    { class: 'facts' },
    ...rows.map(([term, text]) => make('div', {}, make('dt', {}, term), make('dd', {}, text))),
  );
}

function layerTable(
  document: Document,
  layers: readonly LayerView[],
  select: (name: string) => void,
  reported: boolean,
): HTMLElement {
  const make = elementsOf(document);
  const places = new Map(layers.map(({ name }, i) => [name, i]));
  const nameOf = ({ name }: LayerView) => {
    const button = make('button', { type: 'button', class: 'layer' }, name);
    button.addEventListener('click', () => select(name));
    return button;
  };
  const share = (
    title: string,
    hint: string,
    of: (report: NonNullable<LayerView['report']>) => number,
  ): Column<LayerView> => ({
    ...{ title, hint, numeric: true },
    cell: ({ report }) => (report ? shareText(of(report)) : ''),
    order: ({ report }) => (report ? of(report) : null),
  });
  const measured: Column<LayerView>[] = [
    {
      ...{
        title: 'SQNR',
        hint: 'signal over quantization noise of the output, dB: the lower, the more damage',
        numeric: true,
      },
      cell: ({ report }) => report?.sqnrDb.toFixed(1) ?? '',
      order: ({ report }) => report?.sqnrDb ?? null,
    },
    {
      ...{ title: 'cosine', hint: 'similarity of the outputs', numeric: true },
      cell: ({ report }) => report?.cosine.toFixed(4) ?? '',
      order: ({ report }) => report?.cosine ?? null,
    },
  ];
  const lost: Column<LayerView>[] = [
    share('a clipped', 'activations beyond the range of the codes', ({ a }) => a.clipped),
    share('a at end', 'activations at the lowest or highest code', ({ a }) => a.saturated),
    share('b clipped', 'weights or second operand beyond the range of the codes', ({ b }) => b.clipped),
    share('b at end', 'weights or second operand at the lowest or highest code', ({ b }) => b.saturated),
  ];
  const drawn: Column<LayerView>[] = [
    { title: 'values of a', cell: ({ report }) => (report ? histogramSparkline(document, report.a) : '') },
    { title: 'values of b', cell: ({ report }) => (report ? histogramSparkline(document, report.b) : '') },
    {
      title: 'score curve',
      hint: 'of operand a, or of the weight where a is pixels',
      cell: ({ report }) => (report?.curves[0] && curveSparkline(document, report.curves[0])) ?? '',
    },
  ];
  const columns: Column<LayerView>[] = [
    { title: 'layer', cell: nameOf, order: ({ name }) => places.get(name) as number },
    ...(reported ? [...measured, ...drawn, ...lost] : []),
    {
      ...{ title: 'score', hint: 'of the recipe, in the unit of its metric', numeric: true },
      cell: ({ score }) => score.toExponential(2),
      order: ({ score }) => score,
    },
    { title: 'a', cell: ({ a }) => quantizerText(a), order: ({ a }) => a.quantizer.bits },
    { title: 'scale of a', cell: ({ a }) => scalesText(a), order: ({ a }) => a.scales?.middle ?? null },
    {
      ...{ title: 'shift', hint: 'twin shift: the coarse step is 2^shift fine ones', numeric: true },
      cell: ({ a }) => (a.shift === null ? '' : String(a.shift)),
      order: ({ a }) => a.shift,
    },
    { title: 'b', cell: ({ b }) => quantizerText(b), order: ({ b }) => b.quantizer.bits },
    { title: 'scale of b', cell: ({ b }) => scalesText(b), order: ({ b }) => b.scales?.middle ?? null },
  ];
  const start = reported ? { column: 1, ascending: true } : { column: 0, ascending: true };
  const caption =
    'Quantized layers: a is the activation or the left operand of a product, b the weight or the right one. ' +
    'Headings sort, names show the layer.';
  return sortableTable(document, caption, columns, layers, start);
}
