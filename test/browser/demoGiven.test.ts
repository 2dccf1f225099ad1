import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { choose, inDemo, ready } from '../support/demoPage.ts';
import { fakeCamera } from '../support/fakeCamera.ts';
import { useHub } from '../support/hubFolder.ts';
import { COMMIT, type ServedRepository } from '../support/hubServer.ts';
import { writeImages, writeModel } from '../support/tinyModel.ts';

const root = path.join(import.meta.dirname, '../..');
const sample = path.join(root, 'models/sample');
const circle = path.join(sample, 'eval/000_circle.png');
const integers = path.join(root, 'test/golden/integer/sample-w8a8.twinshift.safetensors');
const WEIGHTS = readFileSync(path.join(sample, 'model.safetensors'));
const SAMPLE: ServedRepository = {
  repository: 'owner/sample',
  revisions: { main: COMMIT },
  files: { 'config.json': readFileSync(path.join(sample, 'config.json')), 'model.safetensors': WEIGHTS },
};
const { hub: startHub } = useHub();
const folder = mkdtempSync(path.join(os.tmpdir(), 'twinshift-given-'));
const at = (...names: string[]) => path.join(folder, ...names);

beforeAll(async () => {
  writeModel(at('both/model'));
  await writeImages(at('both/photos/deeper'), 3);
  writeFileSync(at('both/photos/read.me'), 'left alone');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Drops files and folders of the disk where a person would. */
async function drop(page: Page, ...files: string[]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await page.locator('#drop').scrollIntoViewIfNeeded();
  const { x, y } = (await page.locator('#drop').boundingBox()) as { x: number; y: number };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    const data = { items: [], files, dragOperationsMask: 1 };
    await session.send('Input.dispatchDragEvent', { type, x: x + 20, y: y + 20, data });
  }
  await session.detach();
}

/** Waits until the layers of the model are known, which takes a model that can be read, then ends the run. */
async function startedThenCancelled(page: Page, layers: number): Promise<void> {
  await page.waitForFunction((count) => document.querySelectorAll('#map button').length === count, layers);
  await page.click('#cancel');
  await page.waitForSelector('#notes >> text=Cancelled.');
}

test('takes folders that are dropped, and models of the hub by their names', async () => {
  let isHeld = true;
  const hub = await startHub(SAMPLE, (request, response) => {
    if (!isHeld || !/store/.test(request.url ?? '')) return false;
    response.writeHead(200, { 'content-length': WEIGHTS.length });
    response.write(WEIGHTS.subarray(0, WEIGHTS.length - 20_000)); // and no more
    return true;
  });
  const instead = { 'https://huggingface.co': hub.endpoint, 'https://*.hf.co': hub.store };
  await inDemo(
    async ({ page, errors, foreign }) => {
      await ready(page);
      await page.click('#own summary');
      await choose(page, { calibrationImages: 2 });
      await drop(page, at('both'));
      await page.waitForSelector('#chosen >> text=/config.json.* is quantized on 2 of your 3 photos/');
      await page.click('#start');
      await startedThenCancelled(page, 8);
      expect(await page.locator('#notes').innerText()).toContain('Only 2 photos to calibrate with');
      await drop(page, at('both/photos/read.me'));
      await page.waitForSelector('#failure >> text=None of these files');
      await drop(page, integers);
      await page.waitForSelector('#classifier >> text=sample-w8a8.twinshift.safetensors');
      await page.click('#forget');
      expect(foreign).toEqual([]);

      const name = async (text: string) => {
        await page.fill('#hub', text);
        await page.press('#hub', 'Enter');
        await page.click('#start');
      };
      const refused: [string, RegExp][] = [
        ['sample', /"sample" is no model of a hub: give owner\/name/],
        ['owner/none', /owner\/none does not exist at .* or is private[^]*token[^]*given as files/],
        ['owner/sample@v9', /owner\/sample at .* has no revision v9/],
      ];
      for (const [text, message] of refused) {
        await name(text);
        await expect.poll(() => page.locator('#failure').innerText(), { timeout: 60_000 }).toMatch(message);
        expect(await page.locator('#failure button').allInnerTexts()).toEqual(['Try again']);
      }
      await name('owner/sample');
      await page.waitForFunction(() => (document.getElementById('bar') as HTMLProgressElement).value > 0.9);
      expect(await page.locator('#stage').innerText()).toBe('fetching the model');
      expect(await page.locator('#remaining').innerText()).toMatch(/^1\.2\d\sMB of 1\.28\sMB$/);
      await page.click('#cancel');
      await page.waitForSelector('#notes >> text=Cancelled.');
      isHeld = false;
      await page.click('#start');
      await startedThenCancelled(page, 38);
      const fetched = hub.requests.filter(({ line }) => line.startsWith('GET /store'));
      expect(fetched.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=1048576-']);
      expect(hub.requests.filter(({ headers }) => headers.referer ?? headers.cookie)).toEqual([]);
      expect(foreign.filter((url) => ![hub.endpoint, hub.store].includes(new URL(url).origin))).toEqual([]);
      expect(errors.filter((text) => !/status of 40[14]/.test(text))).toEqual([]);
    },
    { instead },
  );
});

test('classifies from the camera, says why there is none, and lets go of it', async () => {
  const flags = await fakeCamera(circle, at('camera.y4m'));
  await inDemo(
    async ({ page, errors }) => {
      await ready(page);
      expect(await page.locator('#camera').isDisabled()).toBe(true);
      await page.setInputFiles('#open-file', integers);
      await page.waitForSelector('#classifier >> text=sample-w8a8');
      // keeps all streams, and each back until it is told
      await page.evaluate(() => {
        const devices = navigator.mediaDevices;
        const original = devices.getUserMedia.bind(devices);
        const kept = { streams: [] as MediaStream[], release: [] as (() => void)[] };
        Object.assign(globalThis, { kept });
        devices.getUserMedia = async (asked) => {
          const stream = await original(asked);
          kept.streams.push(stream);
          await new Promise<void>((resolve) => kept.release.push(resolve));
          return stream;
        };
      });
      type Kept = { kept: { streams: MediaStream[]; release: (() => void)[] } };
      const states = () =>
        page.evaluate(() => {
          const { streams } = (globalThis as unknown as Kept).kept;
          return streams.flatMap((stream) => stream.getTracks().map(({ readyState }) => readyState));
        });
      const release = async (count: number) => {
        await page.waitForFunction((n) => (globalThis as unknown as Kept).kept.release.length === n, count);
        await page.evaluate(() => (globalThis as unknown as Kept).kept.release.at(-1)?.());
      };

      await page.context().grantPermissions([]); // refuses all
      await page.click('#camera');
      await page.waitForSelector('#failure >> text=/may not be used: allow it/');
      expect(await page.locator('#failure button').count()).toBe(0);
      expect(await page.locator('#failure').evaluate((box) => box.getBoundingClientRect().top >= 0)).toBe(true);

      await page.context().grantPermissions(['camera']);
      await page.evaluate(() => {
        const camera = document.getElementById('camera') as HTMLButtonElement;
        camera.click();
        camera.click();
      });
      await release(1);
      await page.waitForFunction(() => document.getElementById('classified-time')?.textContent?.startsWith('camera:'));
      expect(await page.locator('#classes li').first().innerText()).toContain('circle');
      expect(await page.locator('#camera').innerText()).toBe('Stop the camera');
      expect(await page.locator('#camera').getAttribute('aria-pressed')).toBe('true');
      expect(await states()).toEqual(['live']);
      await page.click('#camera');
      expect(await page.locator('#video').isHidden()).toBe(true);
      expect(await page.locator('#camera').getAttribute('aria-pressed')).toBe('false');
      expect(await states()).toEqual(['ended']);

      await page.click('#camera'); // and a picture before it has opened
      await page.waitForFunction(() => (globalThis as unknown as Kept).kept.streams.length === 2);
      await page.setInputFiles('#picture', circle);
      await page.waitForFunction(() => document.getElementById('classified-time')?.textContent?.startsWith('000'));
      await release(2);
      await page.waitForFunction(() => document.getElementById('camera')?.matches(':enabled'));
      expect(await states()).toEqual(['ended', 'ended']);
      expect(await page.locator('#video').isHidden()).toBe(true);
      expect(await page.locator('#classified-picture').isVisible()).toBe(true);

      await page.click('#camera');
      await release(3);
      await page.waitForFunction(() => document.getElementById('classified-time')?.textContent?.startsWith('camera:'));
      await page.setInputFiles('#picture', {
        name: 'no.png',
        mimeType: 'image/png',
        buffer: Buffer.from('no picture'),
      });
      await page.waitForSelector('#failure >> text=no.png');
      expect(await states()).toEqual(['ended', 'ended', 'ended']);
      expect(errors).toEqual([]);
    },
    { flags },
  );
});
