import type { DiffData, LayerChange } from './compareRecipes.ts';
import type { OperandView, RecipeView } from './data.ts';
import { elementsOf } from './element.ts';
import { sortableTable, type Column } from './sortableTable.ts';
import { bytesText, quantizerText, scalesText, secondsText } from './text.ts';

/** Two recipes side by side. */
export function diffPage(document: Document, { first, second, sameWeights, options, layers }: DiffData): HTMLElement {
  const make = elementsOf(document);
  const changed = layers.filter(({ same }) => !same).length;
  const bits = (value: number) => String(Number(value.toFixed(2)));
  const rows: [string, (recipe: RecipeView) => string][] = [
    ['recipe', ({ label }) => label],
    ['model', ({ architecture }) => architecture],
    ['images', ({ images }) => String(images)],
    ['mean bits of weights', ({ meanWeightBits }) => bits(meanWeightBits)],
    ['mean bits of activations', ({ meanActivationBits }) => bits(meanActivationBits)],
    ['model file', ({ run }) => (run?.modelFileBytes == null ? '' : bytesText(run.modelFileBytes))],
    ['time', ({ run }) => (run ? secondsText(run.seconds) : '')],
  ];
  const table = (caption: string, lines: readonly (readonly [string, string, string])[]) =>
    make(
      'div',
      { class: 'scroll plain', role: 'region', tabindex: '0', 'aria-label': caption },
      make(
        'table',
        {},
        make('caption', {}, caption),
        make('thead', {}, make('tr', {}, ...['', 'first', 'second'].map((text) => make('th', { scope: 'col' }, text)))),
        make(
          'tbody',
          {},
          ...lines.map(([name, a, b]) =>
            make('tr', {}, make('th', { scope: 'row' }, name), make('td', {}, a), make('td', {}, b)),
          ),
        ),
      ),
    );
  return make(
    'main',
    {},
    make('h1', {}, `${first.label} and ${second.label}`),
    make('p', {}, `${changed} of ${layers.length} layers differ, ${options.length} options.`),
    ...(sameWeights
      ? []
      : [make('p', { class: 'note' }, 'The recipes are of different weights: scales and scores do not compare.')]),
    make('h2', {}, 'Summary'),
    table(
      'Both recipes',
      rows.map(([name, text]) => [name, text(first), text(second)] as const),
    ),
    make('h2', {}, 'Options'),
    options.length === 0
      ? make('p', {}, 'All options are the same.')
      : table(
          'Options that differ',
          options.map((option) => [option.name, option.first, option.second] as const),
        ),
    make('h2', {}, 'Layers'),
    changesTable(document, layers),
  );
}

function changesTable(document: Document, layers: readonly LayerChange[]): HTMLElement {
  const number = (
    title: string,
    hint: string,
    of: (change: LayerChange) => number | null,
    text: (value: number) => string,
  ): Column<LayerChange> => ({
    ...{ title, hint, numeric: true },
    cell: (change) => {
      const value = of(change);
      return value === null ? '' : text(value);
    },
    order: of,
  });
  const ratio = (value: number) => value.toPrecision(4);
  const signed = (value: number) => `${value > 0 ? '+' : ''}${value}`;
  const pair = (title: string, of: (operand: OperandView) => string, operand: 'a' | 'b'): Column<LayerChange> => ({
    title,
    cell: ({ a, b }) => {
      const [x, y] = [a ? of(a[operand]) : 'none', b ? of(b[operand]) : 'none'];
      return x === y ? x : `${x} → ${y}`;
    },
  });
  const columns: Column<LayerChange>[] = [
    { title: 'layer', cell: ({ name }) => name, order: ({ name }) => name },
    number('score', 'second over first: below 1 is better', ({ scoreRatio }) => scoreRatio, ratio),
    number(
      'SQNR',
      'second less first, dB',
      ({ sqnrGainDb }) => sqnrGainDb,
      (value) => signed(Number(value.toFixed(2))),
    ),
    number('scale of a', 'second over first', ({ scaleRatioA }) => scaleRatioA, ratio),
    number('scale of b', 'second over first', ({ scaleRatioB }) => scaleRatioB, ratio),
    number('shift', 'twin shift, second less first', ({ shiftChange }) => shiftChange, signed),
    pair('a', quantizerText, 'a'),
    pair('scales of a', scalesText, 'a'),
    pair('b', quantizerText, 'b'),
    pair('scales of b', scalesText, 'b'),
  ];
  const caption =
    'Changes of layers, the second recipe over the first: a score below 1 or a gain of SQNR is better. Headings sort.';
  const told = columns.filter(({ cell }) => layers.some((change) => cell(change) !== ''));
  const byScore = told.findIndex(({ title }) => title === 'score');
  return sortableTable(document, caption, told, layers, { column: Math.max(0, byScore), ascending: false });
}
