import type { Browser, Page } from 'playwright-core';
import { fileURLToPath } from 'node:url';
import { build, type Rollup } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchBrowser } from '../support/browser.ts';
import { firstDifference, goldenCases, goldenImage } from '../support/ioGolden.ts';

declare global {
  /** In the page: src/io/decodeBrowser.ts as built. */
  var decoder: typeof import('../../src/io/decodeBrowser.ts');
}

let browser: Browser;
let page: Page;

beforeAll(async () => {
  const entry = fileURLToPath(new URL('../../src/io/decodeBrowser.ts', import.meta.url));
  const built = (await build({
    configFile: false,
    logLevel: 'silent',
    build: { write: false, target: 'es2023', lib: { entry, formats: ['iife'], name: 'decoder' } },
  })) as Rollup.RollupOutput[];
  const script = (built[0] as Rollup.RollupOutput).output[0].code;
  browser = await launchBrowser();
  page = await browser.newPage();
  await page.addScriptTag({ content: `${script}\nglobalThis.decoder = decoder;` });
});
afterAll(() => browser?.close());

type Outcome = { width: number; height: number; data: string } | { name: string; message: string };

async function decode(bytes: Uint8Array, file: string): Promise<Outcome> {
  return page.evaluate(
    async ([content, name]) => {
      try {
        const input = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
        const { width, height, data } = await decoder.decodeImage(input, name);
        return { width, height, data: btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join('')) };
      } catch (error) {
        return { name: (error as Error).name, message: (error as Error).message };
      }
    },
    [Buffer.from(bytes).toString('base64'), file] as const,
  );
}

describe('Chromium gives the pixels of Pillow', () => {
  const { cases, take } = goldenCases<{ file: string; width: number; height: number }>('images');
  const expected = cases.map((golden) => ({ ...golden, data: take(golden.width * golden.height * 3) }));
  test.each(expected)('$file', async ({ file, width, height, data }) => {
    const image = await decode(goldenImage(file), file);
    expect(image).toMatchObject({ width, height });
    expect(firstDifference(Buffer.from((image as { data: string }).data, 'base64'), data)).toBe(-1);
  });
});

test.each(['420.jpg', 'progressive.jpg', 'cmyk.jpg', 'rgb.png', 'palette.png', 'lossy.webp', 'lossless.webp'])(
  'two thirds of %s are refused by name',
  async (name) => {
    const bytes = goldenImage(name);
    const error = await decode(bytes.subarray(0, Math.floor((bytes.length * 2) / 3)), name);
    expect(error).toMatchObject({ name: 'FormatError' });
    expect((error as { message: string }).message).toMatch(new RegExp(`^${name}: the image cannot be decoded`));
  },
);

test.each(['420.jpg', 'progressive.jpg'])('%s without its last bytes is refused', async (name) => {
  const bytes = goldenImage(name);
  for (const missing of [1, 2, 20, 100]) {
    expect(await decode(bytes.subarray(0, bytes.length - missing), name)).toMatchObject({ name: 'FormatError' });
  }
});

test('text is refused by name', async () => {
  expect(await decode(new TextEncoder().encode('file,label'), 'labels.csv')).toMatchObject({
    name: 'FormatError',
    message: expect.stringMatching(/^labels\.csv: not a JPEG, PNG or WebP image/) as string,
  });
});
