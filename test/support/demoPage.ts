import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { vi } from 'vitest';
import { launchBrowser } from './browser.ts';
import { WEBGPU_FLAGS } from './browserSession.ts';

/** Of a test on a machine whose processors others have: a software adapter computes on all of them. */
const PATIENCE_MS = 900_000;
vi.setConfig({ testTimeout: PATIENCE_MS });

/** For what takes long: a look in every frame, as without it, has the browser draw frames meanwhile. */
const SELDOM = { polling: 200, timeout: PATIENCE_MS };

/** The page of `demo/` as `npm run build` makes it. */
export const DEMO_FOLDER = path.join(import.meta.dirname, '../../dist/demo');

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};

export interface DemoOptions {
  /** Default true: WebGPU on SwiftShader. */
  readonly webgpu?: boolean;
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** More of Chromium's flags. */
  readonly flags?: readonly string[];
  /** Texts of the page and its scripts that are served as others, such as the address of the hub. */
  readonly instead?: Readonly<Record<string, string>>;
  /** Files that are served in place of those of the page, by their paths in its folder. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Demo {
  readonly page: Page;
  /** Where the page is served: below a folder, so that an absolute path in it is noticed. */
  readonly address: string;
  /** Everything that the page and its worker asked another origin for. */
  readonly foreign: readonly string[];
  /** Errors of the console and of scripts. */
  readonly errors: readonly string[];
}

/** Opens the built page in a headless Chromium and closes both afterwards. */
export async function inDemo<T>(work: (demo: Demo) => Promise<T>, options: DemoOptions = {}): Promise<T> {
  const { webgpu = true, width = 1280, height = 900, dark = false, flags = [], instead = {}, files = {} } = options;
  const served = (body: Buffer) =>
    Object.entries(instead).reduce((text, [from, to]) => text.replaceAll(from, to), body.toString());
  if (!existsSync(path.join(DEMO_FOLDER, 'index.html'))) throw new Error('the page is not built: npm run build');
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const name = path.posix.normalize(pathname).replace(/^\/page\/(?=$|.)/, '/');
    const file = path.join(DEMO_FOLDER, name === '/' ? 'index.html' : name);
    const given = files[name.slice(1)];
    (given === undefined ? readFile(file) : Promise.resolve(Buffer.from(given))).then(
      (body) => {
        const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
        response.writeHead(pathname.startsWith('/page/') ? 200 : 404, { 'content-type': type });
        response.end(/html|javascript/.test(type) ? served(body) : body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const address = `http://localhost:${(server.address() as AddressInfo).port}/page/`;
  const browser = await launchBrowser([...(webgpu ? WEBGPU_FLAGS : []), ...flags]);
  try {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: dark ? 'dark' : 'light',
      acceptDownloads: true,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS / 3);
    const foreign: string[] = [];
    const errors: string[] = [];
    context.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(address) && !/^(?:blob|data):/.test(url)) foreign.push(url);
    });
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(address);
    return await work({ page, address, foreign, errors });
  } finally {
    await browser.close();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Waits until the worker has found its adapter. */
export async function ready(page: Page): Promise<void> {
  const isReady = () => document.getElementById('adapter')?.textContent?.startsWith('Computes on');
  await page.waitForFunction(isReady, undefined, SELDOM);
}

/** Sets fields of the form of settings. */
export async function choose(page: Page, settings: Readonly<Record<string, number | string>>): Promise<void> {
  const panel = page.locator('#settings-panel');
  if ((await panel.getAttribute('open')) === null) await panel.locator('summary').click();
  for (const [name, value] of Object.entries(settings)) {
    const field = page.locator(`#settings [name=${name}]`);
    if (typeof value === 'string') await field.selectOption(value);
    else await field.fill(String(value));
    await field.blur();
  }
}

/** Waits for the end of a run; gives the text of its failure, empty where it has a result. */
export async function finished(page: Page): Promise<string> {
  await page.waitForFunction(
    () => !document.getElementById('result')?.hidden || !document.getElementById('failure')?.hidden,
    undefined,
    SELDOM,
  );
  return (await page.locator('#failure').innerText()).trim();
}

/** The bytes that a button of the downloads gives. */
export async function download(page: Page, name: string): Promise<Uint8Array> {
  const [file] = await Promise.all([page.waitForEvent('download'), page.click(`[data-download=${name}]`)]);
  return new Uint8Array(await readFile(await file.path()));
}
