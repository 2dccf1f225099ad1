import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, expect, test } from 'vitest';
import type { RunRecord } from '../../demo/record.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import { parseRecipe } from '../../src/calibrate/readRecipe.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { readRun } from '../../src/report/readRun.ts';
import { seriousViolations } from '../support/axe.ts';
import { twinshift } from '../support/command.ts';
import { choose, download, finished, inDemo, ready } from '../support/demoPage.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const root = path.join(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'twinshift-demo-'));
afterAll(() => rmSync(folder, { recursive: true }));
const EVALUATED = 8;
const circle = path.join(root, 'models/sample/eval/000_circle.png');

const json = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

/** The file that the command writes with these words. */
async function written(file: string, ...words: string[]): Promise<Uint8Array> {
  const out = path.join(folder, file);
  const { code, stderr } = await twinshift([...words, '--out', out]);
  expect(code, stderr).toBe(0);
  return readFileSync(out);
}

/** The most probable class that the page names, once it has named one of `name`. */
async function firstClass(page: Page, name: string): Promise<string> {
  await page.waitForFunction((file) => document.getElementById('classified-time')?.textContent?.startsWith(file), name);
  return page.locator('#classes li').first().innerText();
}

/** What a record says of its pictures is what the integer logits are, and what it says of all is what it says of each. */
function expectResultOf({ images, comparison }: RunRecord, logits: Int32Array): void {
  const classes = logits.length / images.length;
  const best = images.map((_, i) => {
    const own = [...logits.subarray(i * classes, (i + 1) * classes)];
    return own.indexOf(Math.max(...own));
  });
  expect(images.map(({ integer }) => integer.index)).toEqual(best);
  const share = (holds: (image: RunRecord['images'][number]) => boolean) => images.filter(holds).length / images.length;
  expect(comparison).toMatchObject({
    agreement: share(({ float, integer }) => float.index === integer.index),
    top1: share(({ integer, label }) => integer.index === label),
    floatTop1: share(({ float, label }) => float.index === label),
  });
  for (const { file, integer, float, difference } of images) {
    expect(file).toContain(float.label);
    for (const { probability } of [integer, float]) expect(probability).toBeGreaterThan(1 / classes);
    expect(difference).toBeGreaterThan(0);
  }
}

/** What the page says of the kernels of its adapter, once it has tested them. */
async function verdict(page: Page): Promise<string> {
  const tested = page.locator('#figures dd').filter({ hasText: /of \d+ kernels give/ });
  return tested.innerText();
}

test('one click makes integers of the sample, those that Node makes of the same recipe', async () => {
  await inDemo(async ({ page, foreign, errors }) => {
    const asked: string[] = [];
    page.context().on('request', (request) => asked.push(path.posix.basename(request.url())));
    await ready(page);
    await choose(page, { calibrationImages: 2, evaluationImages: EVALUATED });
    await page.click('#start');
    await page.waitForFunction(() => document.getElementById('remaining')?.textContent?.includes('left'));
    expect(await finished(page)).toBe('');

    const record = json(await download(page, 'record')) as RunRecord;
    expect(record).toMatchObject({ calibrationImages: 2, comparison: { images: EVALUATED } });
    expect(record.comparison.agreement).toBeGreaterThan(0.7);
    expect(record.layers).toHaveLength(38);
    const same = record.images.filter(({ float, integer }) => float.index === integer.index).length;
    expect(await page.locator('#figures').innerText()).toContain(`${same} of ${EVALUATED} pictures`);
    expect(await page.locator('#pictures li').count()).toBe(EVALUATED);

    const recipeBytes = await download(page, 'recipe');
    const weights = await download(page, 'weights');
    const modelFile = await download(page, 'model');
    const recipeText = new TextDecoder().decode(recipeBytes);
    const integers = await exportModel({
      recipe: parseRecipe(recipeText, 'recipe.json'),
      recipeText,
      weights,
      weightsFile: 'weights.safetensors',
      writtenBy: record.writtenBy,
    });
    expect(Buffer.compare(writeModelFile(integers), modelFile)).toBe(0);
    const images = await sampleImages(await sampleModel(), 'eval', EVALUATED);
    const pixels = Uint8Array.from(images.flatMap(({ rgb }) => [...rgb]));
    const expected = await createReferenceEngine(modelFile).run(pixels, EVALUATED);
    expect(new Set(expected).size).toBeGreaterThan(3);
    expect(record.integerLogits).toEqual([...expected]);
    expectResultOf(record, expected);
    const { size } = statSync(path.join(root, 'models/sample/model.safetensors'));
    expect(record.bytes).toEqual({ float: size, integer: modelFile.length });

    const isOnDemand = (name: string) => /^(reportScript|exportOnnx)/.test(name);
    expect(asked.filter(isOnDemand)).toEqual([]);
    const [runText, report, onnx] = [
      await download(page, 'run'),
      await download(page, 'report'),
      await download(page, 'onnx'),
    ];
    expect(asked.filter(isOnDemand)).toHaveLength(2);
    const recipe = path.join(folder, 'sample');
    mkdirSync(recipe);
    writeFileSync(path.join(recipe, 'recipe.json'), recipeBytes);
    writeFileSync(path.join(recipe, 'weights.safetensors'), weights);
    writeFileSync(`${recipe}.run.json`, runText);
    const evaluation = path.join(folder, 'evaluation.json');
    writeFileSync(evaluation, JSON.stringify(record.comparison));
    expect(Buffer.compare(report, await written('report.html', 'report', recipe, '--evaluation', evaluation))).toBe(0);
    expect(Buffer.compare(onnx, await written('model.onnx', 'export', recipe, '--format', 'onnx'))).toBe(0);
    const run = readRun(new TextDecoder().decode(runText), 'recipe.run.json');
    expect(run).toMatchObject({
      ...{ preset: 'fast', images: 2, skippedImages: [], modelFileBytes: modelFile.length, peakProcessBytes: null },
      ...{ quantizedWeightBytes: weights.length, seconds: record.quantizeMs / 1000 },
      layerReports: record.layers.map((layer) => layer.report),
    });
    expect(Object.keys(run.stageMs)).toContain('forward');

    await page.click('[data-layer="blocks.2.mlp.fc2"]');
    expect(await page.locator('#layer-title').innerText()).toBe('blocks.2.mlp.fc2');
    await page.waitForSelector('#layer-charts svg');
    expect(await page.locator('#layer-charts figure').count()).toBeGreaterThanOrEqual(4);
    expect(await page.locator('#layer-figures').innerText()).toMatch(/twin ranges, 8 bits/);
    await page.click('[data-curve=a] button');
    await page.waitForFunction(
      () => (document.querySelector<HTMLProgressElement>('[data-curve=a] progress')?.value ?? 0) > 0,
    );
    expect(await page.locator('[data-curve=b] button').isDisabled()).toBe(true);
    await page.click('[data-curve=a] >> text=Cancel');
    await page.waitForSelector('[data-curve=a] >> text=True loss over scales of the activations');
    expect(await page.locator('[data-curve=b] button').isEnabled()).toBe(true);
    await page.click('#wgsl summary');
    await page.selectOption('#kernel', 'int_gelu');
    const text = readFileSync(path.join(root, 'shaders/int_gelu.wgsl'), 'utf8');
    await page.waitForFunction((wgsl) => document.getElementById('wgsl-text')?.textContent === wgsl, text);

    await page.click('button[aria-label="Attention of 000_circle.png"]');
    await page.waitForSelector('#attention-maps canvas');
    expect(await page.locator('#attention-maps canvas').count()).toBe(18);
    const captions = await page.locator('#attention-maps figcaption').allInnerTexts();
    const shares = captions.map((caption) => {
      const [, difference = '', top = ''] = /difference ([\d.e-]+) of ([\d.e-]+)/.exec(caption) ?? [];
      return Number(difference) / Number(top);
    });
    expect(shares).toHaveLength(6);
    expect(Math.max(...shares)).toBeLessThan(0.25);
    expect(Math.max(...shares)).toBeGreaterThan(0);

    await page.setInputFiles('#picture', circle);
    expect(await firstClass(page, '000_circle.png')).toContain('circle');

    expect(await verdict(page)).toMatch(/^passed/);
    const { selfTest } = json(await download(page, 'record')) as RunRecord;
    expect(selfTest).toMatchObject({ failed: [] });
    expect(selfTest?.passed).toBeGreaterThan(50);

    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await seriousViolations(page)).toEqual([]);
    }
    await page.setViewportSize({ width: 390, height: 800 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);

    await page.reload(); // another visit, with the model file alone
    await ready(page);
    const name = 'again.twinshift.safetensors';
    await page.setInputFiles('#open-file', { name, mimeType: '', buffer: Buffer.from(modelFile) });
    await page.waitForFunction((file) => document.getElementById('classifier')?.textContent?.includes(file), name);
    await page.setInputFiles('#picture', { name: 'same.png', mimeType: 'image/png', buffer: readFileSync(circle) });
    expect(await firstClass(page, 'same.png')).toContain('circle');
    expect(await page.locator('#take').isHidden()).toBe(true);

    expect(errors).toEqual([]);
    expect(foreign).toEqual([]);
  });
});
