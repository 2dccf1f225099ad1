import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { driverEnvironment, driverFile } from '../../scripts/setup/drivers.js';
import type { RunRecord, TrueCurve } from '../../demo/record.ts';
import type { CurveMeasure, LayerCurve } from '../../src/calibrate/layerCurve.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { seriousInBothThemes, seriousViolations } from '../support/axe.ts';
import { twinshift } from '../support/command.ts';
import { choose, download, finished, inDemo, ready } from '../support/demoPage.ts';
import { TINY_CONFIG, tinyTensors, writeImages, writeModel } from '../support/tinyModel.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'twinshift-demo-'));
const photos = [0, 1, 2].map((i) => path.join(folder, 'photos', `00${i}.png`));
const modelFiles = ['config.json', 'model.safetensors'].map((file) => path.join(folder, 'model', file));

beforeAll(async () => {
  writeModel(path.join(folder, 'model'));
  await writeImages(path.join(folder, 'photos'), photos.length);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function openOwn(page: Page): Promise<void> {
  await ready(page);
  await page.click('#own summary');
}

/** Presses Tab until the element has the focus. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let i = 0; i < 120; i++) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`the keyboard does not reach ${selector}`);
}

/** What `twinshift curve` says of a layer, by the driver that the page computes on. */
async function curveOfCommand(layer: string, operand: string, candidates: number): Promise<LayerCurve> {
  const words = ['curve', path.join(folder, 'model'), '--images', path.join(folder, 'photos'), '--count', '3'];
  const asked = ['--layer', layer, '--operand', operand, '--bits', '8', '--candidates', String(candidates), '--json'];
  const { code, stdout, stderr } = await twinshift([...words, ...asked], {
    env: driverEnvironment(driverFile('swiftshader')),
  });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as LayerCurve;
}

/** Opens the file dialogue of the focused input by keyboard. */
async function pick(page: Page, selector: string, files: string[]): Promise<void> {
  await tabTo(page, selector);
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Space')]);
  await chooser.setFiles(files);
}

/** Starts a run by a button, and waits for its end; gives the text of its failure, none of an earlier one. */
async function pressed(page: Page, button: string): Promise<string> {
  const old = await page.$('#failure p');
  await page.click(button);
  await page.waitForFunction((paragraph) => !paragraph?.isConnected, old);
  return finished(page);
}

type Create = (this: GPUDevice, descriptor: GPUBufferDescriptor) => GPUBuffer;

/** In the worker: buffers of this label come to nothing, as they do on a device that has no memory left; '' ends that. */
function leaveWithoutMemory(label: string): void {
  const { prototype } = GPUDevice;
  const kept = prototype as unknown as Record<'whole' | 'createBuffer', Create | undefined>;
  const whole = (kept.whole ??= kept.createBuffer) as Create;
  prototype.createBuffer = function (descriptor) {
    if (label === '' || descriptor.label !== label) return whole.call(this, descriptor);
    this.pushErrorScope('validation');
    const invalid = whole.call(this, { ...descriptor, size: 2 ** 50 });
    void this.popErrorScope();
    const error = new GPUOutOfMemoryError('not a byte');
    setTimeout(() => this.dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error })));
    return invalid;
  };
}

test('takes a model and photos of its own by keyboard alone, and leaves out what is no picture', async () => {
  await inDemo(async ({ page, errors, foreign }) => {
    await ready(page);
    await tabTo(page, '#own summary');
    await page.keyboard.press('Enter');
    await pick(page, '#model-files', modelFiles);
    const text = path.join(folder, 'model', 'config.json');
    await tabTo(page, '#photos');
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Space')]);
    const broken = { name: 'broken.png', mimeType: 'image/png', buffer: readFileSync(text) };
    const given = photos.map((file) => ({
      name: path.basename(file),
      mimeType: 'image/png',
      buffer: readFileSync(file),
    }));
    await chooser.setFiles([...given, broken]);
    expect(await page.locator('#chosen').innerText()).toContain('4 of your 4 photos');
    await tabTo(page, '#start');
    await page.keyboard.press('Enter');
    expect(await finished(page)).toBe('');
    expect(await page.locator('#notes').innerText()).toContain('broken.png');
    expect(await page.locator('#pictures li').count()).toBe(photos.length);
    expect(await page.locator('#pictures').innerText()).toMatch(/class \d/);
    await tabTo(page, '[data-layer="blocks.0.attn.pv"]');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#layer-charts svg');
    expect(await page.locator('#layer-title').innerText()).toBe('blocks.0.attn.pv');
    await tabTo(page, '[data-curve=b] button');
    await page.keyboard.press('Enter');
    await page.waitForSelector('[data-curve=b] >> text=KL divergence is lowest at');
    const chart = page.locator('#layer-charts figure', { has: page.locator('[data-curve=b]') });
    await chart.locator('[aria-label*="KL divergence"]').waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute('data-curve') === 'b');
    expect(await chart.locator('[aria-label^="Score curves"]').getAttribute('aria-label')).toMatch(
      /hessian is lowest at .*KL divergence is lowest at [\d.e-]+, cross-entropy is lowest at/,
    );
    const { trueCurves = [] } = JSON.parse(Buffer.from(await download(page, 'record')).toString()) as RunRecord;
    const [{ layer, operand, curve }] = trueCurves as [TrueCurve];
    expect([trueCurves.length, layer, operand]).toEqual([1, 'blocks.0.attn.pv', 'b']);
    const { curves, ...rest } = await curveOfCommand(layer, operand, curve.candidates.length);
    const { curves: own, ...figures } = curve;
    expect(rest).toMatchObject(figures);
    for (const [name, values] of Object.entries(curves)) {
      expect(new Set(own[name as CurveMeasure]).size, name).toBeGreaterThan(5);
      // of the same pictures in another order
      expect(own[name as CurveMeasure], name).toEqual(values.map((value) => expect.closeTo(value, 9) as number));
    }
    expect(errors).toEqual([]);
    expect(foreign).toEqual([]);
  });
});

test('is cancelled, says what a file lacks, and goes on after every failure', async () => {
  const weights = writeSafetensors(tinyTensors());
  const file = (name: string, buffer: Uint8Array | string) => ({ name, mimeType: '', buffer: Buffer.from(buffer) });
  const config = file('config.json', JSON.stringify(TINY_CONFIG));
  const bad: [RegExp, ReturnType<typeof file>[]][] = [
    [/model\.safetensors does not exist/, [config]],
    [/config\.json does not exist/, [file('model.safetensors', weights)]],
    [/pytorch_model\.bin is a PyTorch pickle/, [config, file('pytorch_model.bin', 'x')]],
    [/config\.json is not JSON|config\.json.*JSON/, [file('config.json', '{'), file('model.safetensors', weights)]],
    [/own\.safetensors/, [config, file('own.safetensors', weights.subarray(0, 300))]],
    [/config\.json/, [file('config.json', '{"architecture": "resnet50"}'), file('model.safetensors', weights)]],
  ];
  await inDemo(async ({ page, errors }) => {
    await openOwn(page);
    await choose(page, {});
    expect(await seriousInBothThemes(page), 'at the start').toEqual([]);
    await page.click('#start');
    await page.waitForFunction(() => document.getElementById('stage')?.textContent?.startsWith('quantizing'));
    expect(await seriousInBothThemes(page), 'in a run').toEqual([]);
    await page.click('#cancel');
    await page.waitForSelector('#notes >> text=Cancelled.');
    expect(await page.locator('#start').isEnabled()).toBe(true);
    for (const [message, files] of bad) {
      await page.setInputFiles('#model-files', files);
      await page.click('#start');
      await page.waitForSelector('#progress:not([hidden])', { timeout: 2000 }).catch(() => undefined);
      await page.waitForSelector('#failure:not([hidden])');
      expect(await page.locator('#failure').innerText()).toMatch(message);
    }
    expect(await seriousInBothThemes(page), 'after a failure').toEqual([]);
    await page.setInputFiles('#model-files', modelFiles);
    await page.setInputFiles('#photos', [file('text.png', 'no picture')]);
    await page.click('#start');
    await page.waitForSelector('#failure >> text=text.png');
    await page.setInputFiles('#open-file', [file('bad.twinshift.safetensors', 'no model')]);
    await page.waitForSelector('#failure >> text=bad.twinshift.safetensors');
    await page.setInputFiles('#model-files', [file('read.me', 'x')]);
    await page.waitForSelector('#failure >> text=None of these files');
    await page.setInputFiles('#photos', photos);
    await page.click('#start');
    await page.waitForSelector('#result:not([hidden])');
    expect(await page.locator('#failure').isHidden()).toBe(true);
    await page.context().grantPermissions(['camera']);
    await page.click('#camera');
    await page.waitForSelector('#failure >> text=There is no camera on this device');
    expect(errors).toEqual([]);
  });
});

test('says that the device was lost, or that its memory did not do, and goes on without a reload', async () => {
  await inDemo(async ({ page, errors }) => {
    await openOwn(page);
    await choose(page, { calibrationImages: 8 });
    await page.click('#start');
    await page.waitForFunction(() => document.getElementById('stage')?.textContent?.startsWith('quantizing'));
    await page.setInputFiles('#model-files', modelFiles); // for the next run
    const browser = page.context().browser();
    const session = await browser?.newBrowserCDPSession();
    await session?.send('Browser.crashGpuProcess').catch(() => undefined);
    expect(await finished(page)).toMatch(/GPU device was lost/);
    const buttons = page.locator('#failure button');
    const less = 'Try again with 4 images to calibrate with, 32 to compare on';
    expect(await buttons.allInnerTexts()).toEqual(['Try again', less]);

    const [worker] = page.workers();
    const without = (label: string) => worker?.evaluate(leaveWithoutMemory, label);
    await without('blocks.0 input');
    const noMemory = /the device has no memory left \(at most \d+\.\d MB were held at once\): not a byte/;
    expect(await pressed(page, '#failure button >> nth=1')).toMatch(noMemory);
    expect(await page.inputValue('[name=calibrationImages]')).toBe('4');
    expect(await buttons.allInnerTexts()).toEqual(['Try again with 2 images to calibrate with, 16 to compare on']);
    await without('');
    await worker?.evaluate(() => {
      Object.defineProperty(GPUSupportedLimits.prototype, 'maxBufferSize', { get: () => 4096, configurable: true });
    });
    await page.setInputFiles('#photos', photos); // as many as there are are halved
    expect(await pressed(page, '#start')).toMatch(/needs \d+ bytes in one buffer, this device binds at most 4096/);
    expect(await buttons.allInnerTexts()).toEqual(['Try again with 1 image to calibrate with, 1 to compare on']);
    await worker?.evaluate(() => {
      Object.defineProperty(GPUSupportedLimits.prototype, 'maxBufferSize', { get: () => 2 ** 28, configurable: true });
    });
    expect(await pressed(page, '#failure button')).toBe('');
    expect(await page.inputValue('[name=calibrationImages]')).toBe('1');
    expect(await page.locator('#figures').innerText()).toContain('of 1 pictures');
    expect(errors.filter((text) => !/GPU|context/i.test(text))).toEqual([]);
  });
});

describe('without WebGPU', () => {
  test('says which browser would do, and shows a recorded run', async () => {
    const options = { webgpu: false, width: 390, dark: true };
    await inDemo(async ({ page, errors, foreign }) => {
      await page.waitForSelector('#no-webgpu:not([hidden])');
      expect(await page.locator('#no-webgpu').innerText()).toMatch(/Chrome, Edge[^]*Firefox[^]*Safari/);
      expect(await page.locator('#start').isDisabled()).toBe(true);
      await page.waitForSelector('#result:not([hidden])');
      expect(await page.locator('#recorded').innerText()).toMatch(/^A recorded run/);
      expect(await page.locator('#pictures img').count()).toBeGreaterThan(7);
      await page.click('[data-layer="blocks.0.attn.pv"]');
      await page.waitForSelector('#layer-charts svg');
      expect(await seriousViolations(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
      expect(errors).toEqual([]);
      expect(foreign).toEqual([]);
    }, options);
  });
});

test('is held to its own origin and the hub by its policy, the worker too', async () => {
  const hub = ['https://huggingface.co/a', 'https://cas-bridge.xethub.hf.co/b', 'https://cdn-lfs.huggingface.co/c'];
  const others = [
    'https://example.com/',
    'https://huggingface.co.example.com/',
    'http://huggingface.co/',
    'https://hf.co/',
  ];
  await inDemo(async ({ page, foreign }) => {
    await ready(page);
    await page.context().route(/huggingface|hf\.co/, (route) => route.abort());
    const [worker] = page.workers();
    /** Which of the addresses the policy keeps from being asked. */
    const refused = async (addresses: readonly string[]) => {
      const kept: string[] = [];
      addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
        kept.push(`${effectiveDirective} ${blockedURI}`);
      });
      for (const address of addresses) await fetch(address).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 300)); // a violation is told after what it breaks
      return kept;
    };
    const expected = others.map((address) => `connect-src ${address}`);
    expect(await page.evaluate(refused, [...hub, ...others])).toEqual(expected);
    expect(await worker?.evaluate(refused, [...hub, ...others])).toEqual(expected);
    expect(foreign.filter((url) => ![...hub, ...others].includes(url))).toEqual([]);
  });
});
