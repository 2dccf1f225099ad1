/** The map of layers, and one of them at a time. */
import { DAMAGE_DB } from '../../src/report/damageScale.ts';
import { operandNames } from '../../src/report/operandNames.ts';
import { byId, element, nextTask, show, terms } from '../dom.ts';
import { quantizerText } from '../quantizerText.ts';
import type { LayerResult } from '../record.ts';
import { loadCharts } from '../reportScript.ts';
import { kernelsOf, kernelText } from '../shaders.ts';
import type { State } from '../state.ts';
import { capitalized, decibels, durationText, percent } from '../text.ts';
import { layerCharts } from './charts.ts';
import { drawTrueLoss, type LossActions } from './trueLoss.ts';

let drawnNames: readonly string[] = [];
let drawnLayer: LayerResult | undefined;
let drawnCurves: State['curves'] = new Map();
/** Fills in what is asked of a layer, once its charts are there. */
let drawAsked: () => Promise<void> = () => Promise.resolve();
const buttons = new Map<string, HTMLButtonElement>();

export interface LayerActions extends LossActions {
  readonly select: (name: string) => void;
}

export function drawLayers(state: State, actions: LayerActions): void {
  const { layerNames, layers, selectedLayer } = state;
  show(byId('layers'), layerNames.length > 0);
  if (layerNames !== drawnNames) {
    drawnNames = layerNames;
    buttons.clear();
    drawMap(layerNames, actions.select);
  }
  for (const [name, button] of buttons) drawCell(button, layers.get(name), name === selectedLayer);
  const result = selectedLayer === null ? undefined : layers.get(selectedLayer);
  drawAsked = async () => {
    const { CAPTIONS } = await loadCharts();
    if (result && result === drawnLayer) drawTrueLoss(state, result, actions, CAPTIONS);
  };
  drawLayer(result, state.curves);
  if (result) void drawAsked();
}

/** A row a unit, a button a layer. */
function drawMap(names: readonly string[], onSelect: (name: string) => void): void {
  const rows = new Map<string, HTMLElement>();
  byId('map-best').textContent = `${DAMAGE_DB.best} dB and more`;
  byId('map-worst').textContent = `${DAMAGE_DB.worst} dB and less`;
  for (const name of names) {
    const [, unit = name, short = name] = /^((?:layers\.\d+\.)?(?:blocks\.\d+|downsample))\.(.*)$/.exec(name) ?? [];
    let row = rows.get(unit);
    if (!row) {
      row = element('div', { class: 'cells', role: 'group', 'aria-label': unit });
      rows.set(unit, row);
      byId('map').append(element('div', { class: 'unit' }, element('span', {}, unit === short ? '' : unit), row));
    }
    const [, part = '', product = short] = /^(\w+\.)?(.*)$/.exec(short) ?? [];
    const button = element(
      'button',
      { type: 'button', class: 'cell', 'data-layer': name, title: name },
      element('b', {}, element('i', {}, part), product),
      element('span', {}, '…'),
    );
    button.addEventListener('click', () => onSelect(name));
    buttons.set(name, button);
    row.append(button);
  }
  byId('map').replaceChildren(...[...rows.values()].map((row) => row.parentElement as HTMLElement));
}

function drawCell(button: HTMLButtonElement, result: LayerResult | undefined, selected: boolean): void {
  button.setAttribute('aria-pressed', String(selected));
  const isDone = result !== undefined;
  if (button.disabled === !isDone && button.dataset['done'] === String(isDone)) return;
  button.disabled = !isDone;
  button.dataset['done'] = String(isDone);
  const text = button.lastElementChild as HTMLElement;
  if (!result) {
    text.textContent = '…';
    return;
  }
  const { sqnrDb } = result.report;
  text.replaceChildren(sqnrDb.toFixed(1), element('i', {}, '\u00a0dB'));
  const share = (DAMAGE_DB.best - sqnrDb) / (DAMAGE_DB.best - DAMAGE_DB.worst);
  button.style.setProperty('--share', String(Math.min(1, Math.max(0, share))));
}

function drawLayer(result: LayerResult | undefined, curves: State['curves']): void {
  show(byId('layer'), result !== undefined);
  const hasCurves = curves !== drawnCurves;
  drawnCurves = curves;
  if (result === drawnLayer) {
    if (result && hasCurves) void drawCharts(result);
    return;
  }
  drawnLayer = result;
  if (!result) return;
  const { report, layer } = result;
  byId('layer-title').textContent = report.name;
  const operand = (
    name: string,
    quantizer: Parameters<typeof quantizerText>[0],
    values: LayerResult['report']['a'],
  ) => {
    const { kind, steps } = quantizerText(quantizer);
    const lost = `${percent(values.clipped, 2)} clipped, ${percent(values.saturated, 2)} at the outermost codes`;
    return [capitalized(name), kind, steps === '' ? lost : `${steps}; ${lost}`] as const;
  };
  const [first, second] = operandNames(report);
  byId('layer-figures').replaceChildren(
    ...terms([
      ['Signal over noise', decibels(report.sqnrDb), `of the output, over ${report.rows} rows`],
      [
        'Cosine similarity',
        report.cosine.toFixed(6),
        `of the output; searched in ${durationText(report.milliseconds)}`,
      ],
      operand(first, layer.a, report.a),
      operand(second, layer.b, report.b),
    ]),
  );
  void drawCharts(result);
  const select = byId<HTMLSelectElement>('kernel');
  select.replaceChildren(...kernelsOf(result).map((name) => element('option', { value: name }, name)));
  byId<HTMLDetailsElement>('wgsl').open = false;
  byId('wgsl-text').textContent = '';
}

/** Widths of a chart in pixels: what there is, within what can be read. */
const CHART_WIDTH = { least: 280, most: 560 };

/** Counts drawings: a later one ends those before it. */
let drawings = 0;

/** Draws each chart in a task of its own, and shows them together. */
async function drawCharts(result: LayerResult): Promise<void> {
  const own = ++drawings;
  const target = byId('layer-charts');
  const charts = await loadCharts();
  const isLate = () => own !== drawings || result !== drawnLayer; // another was chosen meanwhile
  if (isLate()) return;
  const columns = target.clientWidth > 900 ? 2 : 1;
  const room = target.clientWidth / columns - (columns - 1) * 24;
  const width = Math.floor(Math.max(CHART_WIDTH.least, Math.min(CHART_WIDTH.most, room)));
  const drawn: HTMLElement[] = [];
  for (const draw of layerCharts(charts, result, width, drawnCurves)) {
    await nextTask();
    if (isLate()) return;
    drawn.push(draw());
  }
  const { curve } = document.activeElement?.closest<HTMLElement>('[data-curve]')?.dataset ?? {};
  target.replaceChildren(...drawn);
  await drawAsked();
  if (curve !== undefined) target.querySelector<HTMLElement>(`[data-curve=${curve}]`)?.focus({ preventScroll: true });
}

/** Draws the charts again where the page has become wider or narrower, as on a phone that is turned. */
export function connectCharts(): void {
  let drawnWidth = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry?.contentRect.width ?? 0);
    if (width === 0 || width === drawnWidth) return;
    const isFirst = drawnWidth === 0;
    drawnWidth = width;
    if (drawnLayer && !isFirst) void drawCharts(drawnLayer);
  }).observe(byId('layer-charts'));
}

/** Lets the kernels of the layer be read. */
export function connectKernels(): void {
  const select = byId<HTMLSelectElement>('kernel');
  const read = () => {
    const { value } = select;
    if (!byId<HTMLDetailsElement>('wgsl').open || value === '') return;
    kernelText(value).then(
      (text) => {
        if (select.value === value) byId('wgsl-text').textContent = text;
      },
      (error: Error) => (byId('wgsl-text').textContent = error.message),
    );
  };
  select.addEventListener('change', read);
  byId('wgsl').addEventListener('toggle', read);
}
