import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { readTable, STEPS, tableKeys, withTable, type TableRow } from '../../bench/support/modelsTable.ts';

const page = await readFile(new URL('../../docs/models.md', import.meta.url), 'utf8');

test('the table of docs/models.md has the rows and columns that npm run models fills', () => {
  const [header, ...rows] = readTable(page);
  expect(header).toEqual(['architecture', 'layout', ...STEPS]);
  expect(rows.map((cells) => cells.slice(0, 2))).toEqual(
    tableKeys().map(({ architecture, layout }) => [architecture.name, layout]),
  );
  for (const cells of rows) {
    for (const cell of cells.slice(2)) expect(cell).toMatch(/^(?:yes|NMSE \de[+-]\d+|\d+ dB|no: .+|-)$/);
  }
});

test('a table that is written is read back, and the rest of the page stays', () => {
  const rows = tableKeys().map(({ architecture, layout }, i): TableRow => {
    const cells = STEPS.map((step, s) => [step, `${i * STEPS.length + s} dB`]);
    return { architecture: architecture.name, layout, cells: Object.fromEntries(cells) as TableRow['cells'] };
  });
  const written = withTable(page, rows);
  expect(readTable(written).slice(1)).toEqual(
    rows.map(({ architecture, layout, cells }) => [architecture, layout, ...STEPS.map((step) => cells[step])]),
  );
  expect(withTable(written, [])).toBe(withTable(page, []));
  expect(() => readTable('# Models')).toThrow('the page has no table');
});
