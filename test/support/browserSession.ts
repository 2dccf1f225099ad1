import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { launchBrowser } from './browser.ts';

type Library = typeof import('../../src/browser.ts');

declare global {
  /** In the page: the library as it is loaded. */
  var twinshift: Promise<Library>;
}

const PAGE = `<!doctype html>
<link rel="icon" href="data:," />
<script type="module">globalThis.twinshift = import('/library/browser.js');</script>`;

/** Pages see WebGPU where there is no GPU, too: on SwiftShader. */
export const WEBGPU_FLAGS = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/**
 * Logits i32 `[batch][classes]` of the model file in a page of headless Chromium, by the library built into `folder`,
 * on SwiftShader. Pixels are uint8 `[batch][height][width][3]`.
 */
export async function runInChromium(
  modelBytes: Uint8Array,
  pixels: Uint8Array,
  batch: number,
  folder?: string,
): Promise<Int32Array> {
  const run = (page: Page) =>
    page.evaluate(async (images) => {
      const load = async (name: string) => new Uint8Array(await (await fetch(name)).arrayBuffer());
      const library = await twinshift;
      const gpu = await library.openGpu(navigator.gpu);
      const session = await library.createSession(gpu.device, await load('/model'));
      const found = await session.run(await load('/pixels'), images);
      gpu.check();
      session.destroy();
      gpu.destroy();
      return [...found];
    }, batch);
  return Int32Array.from(await inChromium({ '/model': modelBytes, '/pixels': pixels }, run, folder));
}

/** What `work` gives on a page of headless Chromium that loads the library built into `folder` and can fetch `files`. */
export async function inChromium<T>(
  files: Readonly<Record<string, Uint8Array>>,
  work: (page: Page) => Promise<T>,
  folder = path.join(import.meta.dirname, '../../dist'),
): Promise<T> {
  const server = await serve(files, folder);
  const browser = await launchBrowser(WEBGPU_FLAGS);
  try {
    const page = await browser.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') console.error(`Chromium: ${message.text()}`);
    });
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
    return await work(page);
  } finally {
    await browser.close();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** The page, `files` and, below `/library/`, the scripts of `folder`, on a port of the loopback address alone. */
async function serve(files: Readonly<Record<string, Uint8Array>>, folder: string): Promise<Server> {
  const bodyOf = async (name: string) => {
    if (name === '/') return PAGE;
    return files[name] ?? readFile(path.join(folder, path.normalize(name).replace(/^\/library\//, '')));
  };
  const server = createServer((request, response) => {
    const name = request.url ?? '/';
    bodyOf(name).then(
      (body) => {
        const type = name === '/' ? 'text/html' : name.endsWith('.js') ? 'text/javascript' : 'application/octet-stream';
        response.writeHead(200, { 'content-type': type }).end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return server;
}
