/**
 * Fills the table of docs/models.md by running every step on tiny random models in every layout: reading the files, the float logits
 * against PyTorch's, calibration, the quantized network, integer-only inference, ONNX. `npm run models` writes the page; the exit
 * status is 1 when a cell is not green.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { readGolden } from './support/goldenCheckpoint.ts';
import { trySteps, type Reference } from './support/modelSteps.ts';
import { STEPS, tableKeys, withTable, type TableRow } from './support/modelsTable.ts';

const PAGE = 'docs/models.md';

const rows: TableRow[] = [];
const references = new Map<string, Reference>();
const { gpu, close } = await openNodeGpu();
try {
  for (const { architecture, layout } of tableKeys()) {
    const { golden, name } = architecture;
    const reference = references.get(golden) ?? {};
    references.set(golden, reference);
    const cells = await trySteps(gpu, await readGolden(golden), layout, reference);
    rows.push({ architecture: name, layout, cells });
    console.log([name, layout, ...STEPS.map((step) => `${step} ${cells[step]}`)].join('; '));
  }
} finally {
  close();
}
await writeFile(PAGE, withTable(await readFile(PAGE, 'utf8'), rows));
const red = rows.filter(({ cells }) => STEPS.some((step) => /^(no: |-$)/.test(cells[step])));
console.log(`${rows.length} checkpoints, ${red.length} of them not green`);
process.exitCode = red.length === 0 ? 0 : 1;
