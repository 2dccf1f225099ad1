// Draws the pictures of the documentation, docs/images/demo-*.png and report.png, from the embedded sample: two runs of the built page, the
// second with four bits, whose points can be told apart, and a report of the built command. `npm run build` goes before it; it takes some
// minutes without a GPU.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { quantize, withDemo } from './demoPage.js';
import { ROOT } from './setup/project.js';

/** Pictures of a README are to load at once. */
const MOST_BYTES = 150_000;
const PHONE = { width: 375, height: 812 };
const DESKTOP = { width: 1180, height: 800 };

/** @typedef {import('playwright-core').Page} Page */

const folder = mkdtempSync(path.join(tmpdir(), 'twinshift-pictures-'));
try {
  const recipe = path.join(folder, 'sample');
  const report = path.join(folder, 'report.html');
  const evaluation = path.join(folder, 'evaluation.json');
  const [model, calibration, evaluated] = ['', '/calib', '/eval'].map((each) => `models/sample${each}`);
  twinshift(['quantize', model, '--images', calibration, '--out', recipe, '--preset', 'fast', '--report']);
  writeFileSync(evaluation, twinshift(['evaluate', model, '--images', evaluated, '--recipe', recipe, '--json']));
  twinshift(['report', recipe, '--evaluation', evaluation, '--out', report]);
  await withDemo(async (page) => {
    await quantize(page, { calibrationImages: 32, evaluationImages: 64 });
    await keep(page, 'demo-result', '#result', { size: DESKTOP, height: 686 });
    await quantize(page, { weightBits: 4, activationBits: 4 });
    await page.click('[data-layer="blocks.2.attn.pv"]');
    await page.waitForSelector('#layer-charts svg');
    await keep(page, 'demo-layer', '#layer', { size: DESKTOP });
    await keep(page, 'demo-phone', '#map', { size: PHONE, dark: true });
    await page.goto(pathToFileURL(report).href);
    await keep(page, 'report', 'main', { size: DESKTOP, height: 900 });
  });
} finally {
  rmSync(folder, { recursive: true });
}

/** @param {readonly (string | undefined)[]} words */
function twinshift(words) {
  const given = words.map((word) => word ?? '');
  return execFileSync(process.execPath, ['bin/twinshift.js', ...given], { cwd: ROOT, encoding: 'utf8' });
}

/**
 * Keeps a part of the page, cut to `height` pixels.
 *
 * @param {Page} page
 * @param {string} name
 * @param {string} section
 * @param {{ size: { width: number, height: number }, dark?: boolean, height?: number }} look
 */
async function keep(page, name, section, { size, dark = false, height = Infinity }) {
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
  await page.waitForTimeout(1000); // charts follow the width
  const shot = sharp(await page.locator(section).screenshot());
  const { width: across, height: down } = await shot.metadata();
  const output = path.join(ROOT, `docs/images/${name}.png`);
  await shot
    .extract({ left: 0, top: 0, width: across, height: Math.min(down, height) })
    .png({ palette: true, quality: 90, effort: 10 })
    .toFile(output);
  const { size: bytes } = statSync(output);
  console.log(`${path.relative(ROOT, output)}: ${across} x ${Math.min(down, height)}, ${bytes} bytes`);
  if (bytes > MOST_BYTES) throw new Error(`${name}.png is larger than ${MOST_BYTES} bytes`);
}
