import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { ImageResult, RunRecord } from '../../demo/record.ts';
import { DAMAGE_DB } from '../../src/report/damageScale.ts';
import { seriousInBothThemes } from '../support/axe.ts';
import { inDemo } from '../support/demoPage.ts';

/** Letters that are no markup on a page that writes text as text. */
const HOSTILE = `"><img src=x onerror="document.title='taken'"><b>`;
const recorded = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '../../demo/recorded.json'), 'utf8'),
) as RunRecord;

/** The recorded run with results that have one reading each: 2 of 20 pictures differ, and one layer is beyond each end of the colours. */
function made(): RunRecord {
  const ranked = (index: number) => ({ index, label: index === 5 ? HOSTILE : null, probability: 0.5 + index / 100 });
  const images = recorded.images.slice(0, 20).map(({ file }, i): ImageResult => {
    const float = ranked(i % 16);
    const integer = i === 5 || i === 17 ? ranked(9) : float;
    return { file: i === 5 ? HOSTILE : file, label: null, float, integer, difference: i / 8 };
  });
  const names = ['patch_embed', 'blocks.0.attn.pv', 'blocks.0.mlp.fc2', 'head'];
  const layers = recorded.layers
    .filter(({ report }) => names.includes(report.name))
    .map(({ report, layer }, i) => {
      const { a, b } = report;
      const sqnrDb = [60, 32.5, 40, 10][i] as number;
      const lost = { a: { ...a, clipped: 0.25, saturated: 0.125 }, b: { ...b, clipped: 0.5, saturated: 0.0625 } };
      return { layer, report: { ...report, ...lost, sqnrDb, cosine: 0.75, rows: 130, milliseconds: 1500 } };
    });
  const comparison = { ...recorded.comparison, images: 20, agreement: 0.9, floatTop1: 0.8, top1: 0.75 };
  return {
    ...recorded,
    ...{ images, layers, comparison, calibrationImages: 24, quantizeMs: 100_000, meanWeightBits: 4.25 },
    bytes: { float: 1_000_000, integer: 250_000 },
    imagesPerSecond: { float: 10, integer: 20 },
    selfTest: { passed: 89, total: 90, failed: ['gelu lut'] },
  };
}

const texts = async (page: Page, selector: string) =>
  (await page.locator(selector).allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim());

test('shows what a record says: figures, pictures, the map, one layer and its charts', async () => {
  const record = made();
  const files = { 'sample/recorded.json': JSON.stringify(record) };
  await inDemo(
    async ({ page, errors, foreign }) => {
      await page.waitForSelector('#result:not([hidden])');
      const figures = await texts(page, '#figures > div');
      for (const [name, ...shown] of [
        ['Agreement', '90.0 %', '18 of 20 pictures'],
        ['Right predictions', '80.0 % → 75.0 %', 'float → integers'],
        ['Bytes', '1.00 MB → 250 kB', '4.0 times smaller'],
        ['Images per second', '10 → 20', 'float → integers'],
        ['Logits', '32.4 dB'],
        ['Bits', 'W4.25 A8'],
        ['Time', '1 min 40 s', 'on 24 pictures'],
        ['Self-test', 'failed: gelu lut', '89 of 90 kernels'],
      ] as const) {
        const figure = figures.find((text) => text.startsWith(name));
        for (const text of shown) expect(figure, name).toContain(text);
      }

      const shownFiles = () => page.$$eval('#pictures img', (all) => all.map((each) => each.getAttribute('alt')));
      const [first, second, third] = await shownFiles();
      expect([first, second, third], 'those that differ come first').toEqual([
        HOSTILE,
        record.images[17]?.file,
        record.images[0]?.file,
      ]);
      const [hostile, , same] = await texts(page, '#pictures li');
      expect(hostile).toContain(`float ${HOSTILE} 55 %`);
      expect(hostile).toMatch(/int class 9 59 % ≠ logits within 0.63$/);
      expect(same).toBe('float class 0 50 % int class 0 50 % logits within 0');
      expect(await page.locator('#pictures-more').innerText()).toBe('They differ on 2 of 20 pictures.');
      expect(await shownFiles()).toHaveLength(12);
      await page.click('#pictures-all');
      expect(new Set(await shownFiles()).size).toBe(20);
      await page.check('#only-different');
      await page.waitForFunction(() => document.querySelectorAll('#pictures li').length === 2);
      expect(await page.locator('#pictures li.different').count()).toBe(2);
      expect(await page.locator('#take').isHidden()).toBe(true);

      const cells = page.locator('#map button');
      expect((await texts(page, '#map button')).map((text) => /[\d.]+ dB$/.exec(text)?.[0])).toEqual([
        ...['60.0 dB', '32.5 dB', '40.0 dB', '10.0 dB'],
      ]);
      const shares = await cells.evaluateAll((all) =>
        all.map((each) => Number((each as HTMLElement).style.getPropertyValue('--share'))),
      );
      const middle = (DAMAGE_DB.best - 40) / (DAMAGE_DB.best - DAMAGE_DB.worst);
      expect(shares).toEqual([0, 0.5, expect.closeTo(middle, 9), 1]);
      const ground = await cells.evaluateAll((all) => all.map((each) => getComputedStyle(each).backgroundColor));
      expect(new Set(ground).size).toBe(4);

      await page.click('[data-layer="blocks.0.attn.pv"]');
      await page.waitForSelector('#layer-charts svg');
      expect(await page.locator('#map [aria-pressed=true]').getAttribute('data-layer')).toBe('blocks.0.attn.pv');
      const layer = await texts(page, '#layer-figures > div');
      expect(layer).toEqual([
        'Signal over noise 32.5 dB of the output, over 130 rows',
        'Cosine similarity 0.750000 of the output; searched in 2 s',
        expect.stringMatching(/^Probabilities twin ranges, 8 bits .*25.00 % clipped, 12.50 % at the outermost codes$/),
        expect.stringMatching(/^Values of attention uniform, 8 bits .*50.00 % clipped, 6.25 % at the outermost codes$/),
      ]);
      await expectBars(page, record);
      await expectCurves(page, record);
      expect(await page.title()).toMatch(/^Twinshift/);
      expect(await seriousInBothThemes(page)).toEqual([]);
      expect(await page.locator('#pictures b, #pictures p img').count()).toBe(0);
      expect(errors).toEqual([]);
      expect(foreign).toEqual([]);
    },
    { webgpu: false, files },
  );
});

/** The bars of the first chart lie where their bins are, the taller the more values. */
async function expectBars(page: Page, { layers }: RunRecord): Promise<void> {
  const report = layers.find(({ report: { name } }) => name === 'blocks.0.attn.pv')?.report;
  if (!report) throw new Error('the record lacks the layer');
  const { low, high, counts } = report.a.histogram;
  const svg = page.locator('#layer-charts figure').first().locator('svg').first();
  const width = Number(await svg.getAttribute('width'));
  const bars = await svg
    .locator('rect')
    .evaluateAll((all) => all.map((each) => ['x', 'width', 'height'].map((name) => Number(each.getAttribute(name)))));
  const margin = (high - low) * 0.02;
  const placeOf = (x: number) => 48 + ((x - low + margin) / (high - low + 2 * margin)) * (width - 60);
  const bins = counts.flatMap((count, bin) => (count > 0 ? [{ count, bin }] : []));
  expect(bars).toHaveLength(bins.length);
  const size = (high - low) / counts.length;
  for (const [i, { bin }] of bins.entries()) {
    expect(bars[i]?.[0]).toBeCloseTo(placeOf(low + bin * size), 0);
    expect(bars[i]?.[1]).toBeCloseTo(placeOf(low + size) - placeOf(low), 0);
  }
  const byHeight = bins.map(({ count }, i) => [count, bars[i]?.[2] as number]).sort(([a], [b]) => (a ?? 0) - (b ?? 0));
  const heights = byHeight.map(([, height]) => height);
  expect(heights).toEqual(heights.toSorted((a, b) => (a ?? 0) - (b ?? 0)));
}

/** Of the first curves: the mark stands at the scale that was chosen, and every metric has a dot where it is lowest. */
async function expectCurves(page: Page, { layers }: RunRecord): Promise<void> {
  const curve = layers.find(({ report: { name } }) => name === 'blocks.0.attn.pv')?.report.curves[0];
  if (!curve) throw new Error('the record lacks the curves');
  const { factors, chosen, metrics } = curve;
  expect(factors[chosen]).toBe(1);
  const chart = page.locator('#layer-charts figure').nth(2).locator('svg').last();
  const width = Number(await chart.getAttribute('width'));
  const [first, last] = [Math.log(factors[0] as number), Math.log(factors.at(-1) as number)];
  const placeOf = (factor: number) => 48 + ((Math.log(factor) - first) / (last - first)) * (width - 60);
  const mark = chart.locator('line[stroke-dasharray], g[stroke-dasharray] line').first();
  expect(Number(await mark.getAttribute('x1'))).toBeCloseTo(placeOf(1), 0);
  const dots = await chart.locator('circle').evaluateAll((all) => all.map((each) => Number(each.getAttribute('cx'))));
  const lowest = Object.values(metrics).map((values) =>
    placeOf(factors[values.indexOf(Math.min(...values))] as number),
  );
  expect(dots.map(Math.round)).toEqual(lowest.map(Math.round));
}
