/** The map of layers, and one of them at a time. */
import { byId, element, show, terms } from '../dom.ts';
import { quantizerText } from '../quantizerText.ts';
import type { LayerResult } from '../record.ts';
import { kernelsOf, kernelText } from '../shaders.ts';
import type { State } from '../state.ts';
import { decibels, durationText, percent } from '../text.ts';

/** Signal over noise, in decibels, at which the bar of a layer is empty and full. */
const BAR_DB = { low: 5, high: 45 };

let drawnNames: readonly string[] = [];
let drawnLayer: LayerResult | undefined;
const buttons = new Map<string, HTMLButtonElement>();

export function drawLayers(state: State, onSelect: (name: string) => void): void {
  const { layerNames, layers, selectedLayer } = state;
  show(byId('layers'), layerNames.length > 0);
  if (layerNames !== drawnNames) {
    drawnNames = layerNames;
    buttons.clear();
    drawMap(layerNames, onSelect);
  }
  for (const [name, button] of buttons) drawCell(button, layers.get(name), name === selectedLayer);
  drawLayer(selectedLayer === null ? undefined : layers.get(selectedLayer));
}

/** A row a unit, a button a layer. */
function drawMap(names: readonly string[], onSelect: (name: string) => void): void {
  const rows = new Map<string, HTMLElement>();
  for (const name of names) {
    const [, unit = name, short = name] = /^((?:layers\.\d+\.)?blocks\.\d+)\.(.*)$/.exec(name) ?? [];
    let row = rows.get(unit);
    if (!row) {
      row = element('div', { class: 'cells', role: 'group', 'aria-label': unit });
      rows.set(unit, row);
      byId('map').append(element('div', { class: 'unit' }, element('span', {}, unit === short ? '' : unit), row));
    }
    const button = element(
      'button',
      { type: 'button', class: 'cell', 'data-layer': name },
      element('b', {}, short),
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
  text.textContent = decibels(sqnrDb);
  const share = Math.min(1, Math.max(0, (sqnrDb - BAR_DB.low) / (BAR_DB.high - BAR_DB.low)));
  button.style.setProperty('--share', String(share));
}

function drawLayer(result: LayerResult | undefined): void {
  show(byId('layer'), result !== undefined);
  if (result === drawnLayer) return;
  drawnLayer = result;
  if (!result) return;
  const { report, layer } = result;
  byId('layer-title').textContent = report.name;
  const share = ({ clipped, saturated }: LayerResult['report']['a']) =>
    `${percent(clipped, 2)} of the values clipped, ${percent(saturated, 2)} at the outermost codes`;
  byId('layer-figures').replaceChildren(
    ...terms([
      ['Signal over noise', decibels(report.sqnrDb), `of the output, ${report.rows} rows`],
      ['Cosine similarity', report.cosine.toFixed(6), 'of the output'],
      [layer.kind === 'linear' ? 'Activations' : 'First operand', quantizerText(layer.a), share(report.a)],
      [layer.kind === 'linear' ? 'Weights' : 'Second operand', quantizerText(layer.b), share(report.b)],
      ['Search', durationText(report.milliseconds)],
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

async function drawCharts(result: LayerResult): Promise<void> {
  const target = byId('layer-charts');
  target.replaceChildren();
  const { layerCharts } = await import('./charts.ts');
  if (result !== drawnLayer) return; // another was chosen meanwhile
  const columns = target.clientWidth > 900 ? 2 : 1;
  const room = target.clientWidth / columns - (columns - 1) * 24;
  const width = Math.floor(Math.max(CHART_WIDTH.least, Math.min(CHART_WIDTH.most, room)));
  target.replaceChildren(...layerCharts(result, width));
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
