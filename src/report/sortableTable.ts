import { elementsOf } from './element.ts';

/** A column of a table of `Row`s. */
export interface Column<Row> {
  readonly title: string;
  /** A longer name for a tooltip. */
  readonly hint?: string;
  readonly cell: (row: Row) => Node | string;
  /** What the column is sorted by; absent: it cannot be. Null sorts last. */
  readonly order?: (row: Row) => number | string | null;
  readonly numeric?: boolean;
}

export interface Sorting {
  readonly column: number;
  readonly ascending: boolean;
}

/** A table whose headings are buttons that sort it, told to screen readers by `aria-sort`. */
export function sortableTable<Row>(
  document: Document,
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  start: Sorting,
): HTMLElement {
  const make = elementsOf(document);
  const body = make('tbody');
  const lines = rows.map((row) => {
    const cells = columns.map(({ cell, numeric }, i) => {
      const attributes = numeric ? { class: 'number' } : {};
      return i === 0 ? make('th', { scope: 'row' }, cell(row)) : make('td', attributes, cell(row));
    });
    return { row, line: make('tr', {}, ...cells) };
  });
  const headings = columns.map(({ title, hint, order, numeric }, i) => {
    const attributes = { scope: 'col', ...(hint ? { title: hint } : {}), ...(numeric ? { class: 'number' } : {}) };
    if (!order) return make('th', attributes, title);
    const button = make('button', { type: 'button' }, title, make('span', { 'aria-hidden': 'true', class: 'arrow' }));
    button.addEventListener('click', () => {
      const heading = headings[i] as HTMLElement;
      sort({ column: i, ascending: heading.getAttribute('aria-sort') !== 'ascending' });
    });
    return make('th', { ...attributes, 'aria-sort': 'none' }, button);
  });
  const sort = ({ column, ascending }: Sorting) => {
    const { order } = columns[column] as Column<Row>;
    if (!order) return;
    const sorted = lines.toSorted((a, b) => compare(order(a.row), order(b.row), ascending));
    body.replaceChildren(...sorted.map(({ line }) => line));
    headings.forEach((heading, i) => {
      if (!columns[i]?.order) return;
      heading.setAttribute('aria-sort', i !== column ? 'none' : ascending ? 'ascending' : 'descending');
    });
  };
  body.append(...lines.map(({ line }) => line));
  sort(start);
  const table = make(
    'table',
    {},
    make('caption', {}, make('span', {}, caption)),
    make('thead', {}, make('tr', {}, ...headings)),
    body,
  );
  return make('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': caption }, table);
}

/** Null after everything else, in both directions. */
function compare(a: number | string | null, b: number | string | null, ascending: boolean): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const less = typeof a === 'string' ? a.localeCompare(String(b), 'en', { numeric: true }) : a - (b as number);
  return ascending ? less : -less;
}
