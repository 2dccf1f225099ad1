import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareRecipes } from '../../src/report/compareRecipes.ts';
import { recipeView } from '../../src/report/data.ts';
import { reportHtml } from '../../src/report/html.ts';
import { readRun } from '../../src/report/readRun.ts';
import { seriousViolations } from '../support/axe.ts';
import { launchBrowser } from '../support/browser.ts';
import { REPORT_LAYERS, reportOf, reportRecipe, runDocument } from '../support/reportCase.ts';

const LABEL = `out/"><script>document.title='taken'</script>`;
const script = readFileSync(path.join(import.meta.dirname, '../../dist/reportScript.js'), 'utf8');
const folder = mkdtempSync(path.join(tmpdir(), 'twinshift-report-'));
let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
  const run = readRun(JSON.stringify(runDocument()), 'run.json');
  const evaluation = {
    ...{ images: 50, top1: 0.7, top5: 0.9, floatTop1: 0.72, floatTop5: 0.91 },
    ...{ agreement: 0.97, klDivergence: 0.01, logitSqnrDb: 22 },
  };
  const recipe = recipeView(reportRecipe(), LABEL, run);
  const [, pv, fc2] = REPORT_LAYERS;
  const hostile = { ...fc2!, name: '<img src=x onerror="document.title=1">' };
  const better = { ...pv!, score: 0.01, a: { ...pv!.a, shift: 6 } } as typeof hostile;
  const again = readRun(JSON.stringify(runDocument({ layerReports: [reportOf(pv!, 15)] })), 'again.json');
  const other = recipeView(reportRecipe({ layers: [better, hostile] }), 'other', again);
  writeFileSync(path.join(folder, 'report.html'), await reportHtml({ kind: 'report', recipe, evaluation }, script));
  writeFileSync(path.join(folder, 'diff.html'), await reportHtml(compareRecipes(recipe, other), script));
});
afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens a file of the folder; whatever it requests or complains of is kept. */
async function open(file: string, look: { width: number; colorScheme?: 'light' | 'dark' } = { width: 1280 }) {
  const { width, colorScheme = 'light' } = look;
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const trouble: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => trouble.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => trouble.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  const url = pathToFileURL(path.join(folder, file)).href;
  await page.goto(url);
  await page.waitForSelector('main h1');
  return { page, trouble, others: () => requests.filter((each) => each !== url && !each.startsWith('data:')) };
}

const layersShown = (page: Page) =>
  page.$$eval('main table tbody th', (cells) => cells.map((cell) => (cell as HTMLElement).innerText));

describe('a report opened from the disk', () => {
  test('draws itself without a request or a complaint, and reads nothing that it is given as markup', async () => {
    const { page, trouble, others } = await open('report.html');
    expect(await page.title()).toBe(`Twinshift: ${LABEL}`);
    expect(await page.textContent('h1')).toBe(LABEL);
    const text = await page.innerText('main');
    for (const shown of [
      ...[
        '72.00 % float, 70.00 % quantized, 50 images',
        '91.00 % float, 90.00 % quantized',
        '97.00 %',
        '<script>alert(1)</script>',
        '"><img src=x onerror=alert(2)>.png',
      ],
      ...[
        'vit <i>tiny</i>',
        'v a (software)',
        'mean bits',
        'blocks.0.mlp.fc2',
        'PTQ4ViT, section 3.2',
        '28.0 % of float',
      ],
    ]) {
      expect(text).toContain(shown);
    }
    const pictures = await page.$$eval('[role="img"]', (found) => found.map((each) => each.getAttribute('aria-label')));
    expect(pictures).toHaveLength(6); // map, two histograms, a score curve, times, Pareto curve
    expect(pictures[0]).toContain('the largest is in blocks.0.attn.pv, 12.0 dB');
    expect(pictures[1]).toContain('points of fine range');
    expect(pictures[3]).toContain('hessian is lowest at 1, mse is lowest at 1');
    expect(pictures[4]).toBe('Times: search attn.pv 0.90 s, forward 0.01 s');
    expect(pictures[5]).toBe('3 best choices; chosen: 4.9 bits, 0.02 nats');
    const fills = await page.$$eval('[role="img"] rect[fill^="color-mix"]', (cells) =>
      cells.map((cell) => [
        cell.querySelector('title')?.textContent,
        /[\d.]+%/.exec(cell.getAttribute('fill') ?? '')?.[0],
      ]),
    );
    expect(fills, 'the deeper the larger the error').toEqual([
      ['patch_embed: 40.0 dB', '28.6%'],
      ['blocks.0.attn.pv: 12.0 dB', '100.0%'],
      ['blocks.0.mlp.fc2: 25.0 dB', '71.4%'],
    ]);
    const row = page.locator('main tbody tr').first();
    const cells = await row.locator('td').allInnerTexts();
    expect(cells.filter((text) => text !== '')).toEqual([
      ...['12.0', '0.9931', '0.12 %', '3.00 %', '0.34 %', '5.00 %', '2.00e-2'],
      ...['6 bits, twin, shift 4', '4', '6 bits, uniform', '0.04 (0.02 to 0.06, 3)'],
    ]);
    const mark = row.locator('svg path[style*="dasharray"]');
    expect(await mark.getAttribute('d'), 'at the chosen scale').toBe('M42.0 0V22');
    expect(await page.$$eval('main img, main script', (found) => found.length)).toBe(0);
    await page.close();
    expect(trouble).toEqual([]);
    expect(others()).toEqual([]);
  });

  test('is sorted and looked through by keyboard alone', async () => {
    const { page, trouble } = await open('report.html');
    const sorted = () => page.$$eval('thead th[aria-sort]', (all) => all.map((each) => each.getAttribute('aria-sort')));
    const worstFirst = ['blocks.0.attn.pv', 'blocks.0.mlp.fc2', 'patch_embed'];
    expect(await layersShown(page)).toEqual(worstFirst);
    expect((await sorted()).filter((each) => each !== 'none')).toEqual(['ascending']);
    const focusOn = async (name: string) => {
      for (let presses = 0; presses < 40; presses++) {
        await page.keyboard.press('Tab');
        if ((await page.evaluate(() => document.activeElement?.textContent)) === name) return;
      }
      throw new Error(`no way to ${name}`);
    };
    await focusOn('SQNR');
    await page.keyboard.press('Enter');
    expect(await layersShown(page)).toEqual(worstFirst.toReversed());
    expect((await sorted())[1]).toBe('descending');
    await page.keyboard.press('Space');
    expect(await layersShown(page)).toEqual(worstFirst);
    await focusOn('shift');
    await page.keyboard.press('Enter');
    expect(await layersShown(page), 'without a shift last').toEqual([
      'blocks.0.mlp.fc2',
      'blocks.0.attn.pv',
      'patch_embed',
    ]);
    await focusOn('patch_embed');
    await page.keyboard.press('Enter');
    expect(await page.getAttribute('.detail', 'data-layer')).toBe('patch_embed');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('layer');
    await page.keyboard.press('ArrowDown');
    expect(await page.getAttribute('.detail', 'data-layer')).toBe('blocks.0.attn.pv');
    await page.close();
    expect(trouble).toEqual([]);
  });

  test.each([
    [390, 'light'],
    [390, 'dark'],
    [1280, 'dark'],
  ] as const)('fits %i pixels, %s', async (width, colorScheme) => {
    for (const file of ['report.html', 'diff.html']) {
      const { page, trouble } = await open(file, { width, colorScheme });
      const [over, ground] = await page.evaluate(() => [
        document.documentElement.scrollWidth - innerWidth,
        getComputedStyle(document.body).backgroundColor,
      ]);
      expect(over).toBeLessThanOrEqual(0);
      expect(await seriousViolations(page)).toEqual([]);
      expect(ground).toBe(colorScheme === 'dark' ? 'rgb(18, 23, 30)' : 'rgb(251, 252, 253)');
      if (file === 'report.html') {
        await page.setViewportSize({ width: 1000, height: 700 }); // as a phone that is turned, or a window that is pulled
        await page.waitForFunction(() => (document.querySelector('.chart')?.clientWidth ?? 0) === 1000 - 32);
        expect(await page.locator('.chart').count()).toBe(6);
      }
      await page.close();
      expect(trouble).toEqual([]);
    }
  });
});

test('two recipes stand side by side, hostile names as text', async () => {
  const { page, trouble, others } = await open('diff.html');
  expect(await page.title()).toBe(`Twinshift: ${LABEL} and other`);
  const layers = await layersShown(page);
  expect(layers).toContain('<img src=x onerror="document.title=1">');
  expect(layers).toContain('blocks.0.mlp.fc2');
  const changed = page.locator('main tr').filter({ hasText: 'blocks.0.attn.pv' });
  expect((await changed.locator('td').allInnerTexts()).slice(0, 2), 'score over score, and gain').toEqual([
    ...['0.5000', '+3'],
  ]);
  expect(await changed.innerText()).toMatch(/\+2\s+6 bits, twin, shift 4 → 6 bits, twin, shift 6/);
  expect(await page.$$eval('main img, main script', (found) => found.length)).toBe(0);
  await page.close();
  expect(trouble).toEqual([]);
  expect(others()).toEqual([]);
});
