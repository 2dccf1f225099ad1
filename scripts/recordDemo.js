// Records the run that the page shows where there is no WebGPU: presses the button of the built page in a headless Chromium on SwiftShader
// and keeps what comes out in demo/recorded.json. `npm run build` goes before it, and after it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { preview } from 'vite';
import { ROOT } from './setup/project.js';

const OUTPUT = path.join(ROOT, 'demo/recorded.json');
const SETTINGS = { calibrationImages: 32, evaluationImages: 32 };
/** Digits of a number that a picture of it shows. */
const DIGITS = 6;

const places = [process.env['TWINSHIFT_CHROMIUM'] ?? '', '/usr/bin/chromium', chromium.executablePath()];
const executablePath = places.find((place) => existsSync(place));
if (executablePath === undefined) throw new Error('there is no Chromium: run node scripts/setup.js --browser');

const server = await preview({ configFile: path.join(ROOT, 'demo/vite.config.ts'), preview: { port: 0 } });
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--enable-unsafe-swiftshader', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
});
try {
  const page = await browser.newPage();
  await page.goto(server.resolvedUrls?.local[0] ?? '');
  await page.click('#settings-panel summary');
  for (const [name, value] of Object.entries(SETTINGS)) await page.fill(`[name=${name}]`, String(value));
  await page.locator('#settings [name=twin]').focus();
  await page.click('#start:not([disabled])');
  await page.waitForSelector('#result:not([hidden]), #failure:not([hidden])', { timeout: 900_000 });
  const failure = await page.locator('#failure').innerText();
  if (failure !== '') throw new Error(failure);
  await page.waitForSelector('#figures >> text=/of \\d+ kernels give/', { timeout: 900_000 });
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('[data-download=record]')]);
  const record = JSON.parse(readFileSync(await file.path(), 'utf8'));
  delete record.integerLogits;
  const text = JSON.stringify(record, (_key, value) =>
    typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value,
  );
  writeFileSync(OUTPUT, `${text}\n`);
  console.log(`${path.relative(ROOT, OUTPUT)}: ${text.length} bytes, agreement ${record.comparison.agreement}`);
} finally {
  await browser.close();
  await server.close();
}
