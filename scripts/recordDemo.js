// Records the run that the page shows where there is no WebGPU: presses the button of the built page and keeps what comes out in
// demo/recorded.json. `npm run build` goes before it, and after it.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { quantize, withDemo } from './demoPage.js';
import { ROOT } from './setup/project.js';

const OUTPUT = path.join(ROOT, 'demo/recorded.json');
/** Digits of a number that a picture of it shows. */
const DIGITS = 6;

await withDemo(async (page) => {
  await quantize(page, { calibrationImages: 32, evaluationImages: 32 });
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('[data-download=record]')]);
  const record = JSON.parse(readFileSync(await file.path(), 'utf8'));
  delete record.integerLogits;
  const text = JSON.stringify(record, (_key, value) =>
    typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value,
  );
  writeFileSync(OUTPUT, `${text}\n`);
  console.log(`${path.relative(ROOT, OUTPUT)}: ${text.length} bytes, agreement ${record.comparison.agreement}`);
});
