// The built page in a headless Chromium on SwiftShader, for the scripts that keep something of it. `npm run build` goes before them.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { preview } from 'vite';
import { ROOT } from './setup/project.js';

/** Of a run on a busy machine without a GPU. */
const RUN_MS = 1_800_000;

/**
 * Opens the page, and closes it after `work`.
 *
 * @param {(page: import('playwright-core').Page) => Promise<void>} work
 */
export async function withDemo(work) {
  const places = [process.env['TWINSHIFT_CHROMIUM'] ?? '', '/usr/bin/chromium', chromium.executablePath()];
  const executablePath = places.find((place) => existsSync(place));
  if (executablePath === undefined) throw new Error('there is no Chromium: run node scripts/setup.js --browser');
  const server = await preview({ configFile: path.join(ROOT, 'demo/vite.config.ts'), preview: { port: 0 } });
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--enable-unsafe-swiftshader', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1180, height: 800 } });
    page.setDefaultTimeout(RUN_MS);
    await page.goto(server.resolvedUrls?.local[0] ?? '');
    await work(page);
  } finally {
    await browser.close();
    await server.close();
  }
}

/**
 * Sets numbers of the settings, presses the button and waits for the result.
 *
 * @param {import('playwright-core').Page} page
 * @param {Readonly<Record<string, number>>} settings
 */
export async function quantize(page, settings) {
  await page.click('#settings-panel:not([open]) summary', { timeout: 1000 }).catch(() => undefined);
  for (const [name, value] of Object.entries(settings)) await page.fill(`[name=${name}]`, String(value));
  await page.locator('#settings [name=twin]').focus();
  await page.click('#start:not([disabled])');
  await page.waitForSelector('#cancel:not([hidden])');
  await page.waitForSelector('#cancel', { state: 'hidden' });
  const failure = await page.locator('#failure').innerText();
  if (failure !== '') throw new Error(failure);
  await page.waitForSelector('#figures >> text=/of \\d+ kernels give/');
}
