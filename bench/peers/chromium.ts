import path from 'node:path';
import { launchBrowser } from '../../test/support/browser.ts';
import type { GroupTimes, PageResult, ProductGroup } from '../peersPage.ts';
import { atLeast, atMost, printClaims, printTable } from '../support/table.ts';

type PageModule = typeof import('../peersPage.ts');

/** A page sees WebGPU where there is no GPU, too: on SwiftShader. */
const FLAGS = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
const ORIGIN = 'http://localhost/';

const blocks = { heads: 1, rows: 197, copies: 12, aKind: 'uniform' } as const;
/** Every product of DeiT-Tiny for one image, as its integer network runs them. */
const DEIT_TINY: readonly ProductGroup[] = [
  { name: 'patch embedding', ...blocks, copies: 1, rows: 196, depth: 768, columns: 192, layout: 'int16' },
  { name: 'qkv', ...blocks, depth: 192, columns: 576, layout: 'left' },
  { name: 'q k^T', ...blocks, heads: 3, depth: 64, columns: 197, layout: 'int32' },
  { name: 'p v', ...blocks, heads: 3, depth: 197, columns: 64, aKind: 'twin-softmax', layout: 'left' },
  { name: 'proj', ...blocks, depth: 192, columns: 192, layout: 'int16' },
  { name: 'fc1', ...blocks, depth: 192, columns: 768, layout: 'left' },
  { name: 'fc2', ...blocks, depth: 768, columns: 192, aKind: 'twin-gelu', layout: 'int16' },
  { name: 'head', ...blocks, copies: 1, rows: 1, depth: 192, columns: 1000, layout: 'int32' },
];

/** Our integer products against the float ones of ONNX Runtime's WebGPU provider, in one page of headless Chromium. */
export async function checkOnnxRuntime(peers: string, library = path.join(import.meta.dirname, '..')): Promise<number> {
  const { adapter, version, groups } = await measureInChromium(peers, library);
  const sum = (of: (group: GroupTimes) => number) => groups.reduce((total, group) => total + of(group), 0);
  const [theirs, ours] = [sum(({ peerMs }) => peerMs), sum(({ ourMs }) => ourMs)];
  printTable(
    `Products of DeiT-Tiny in Chromium on ${adapter}: times the speed of ONNX Runtime Web ${version} (WebGPU, float)`,
    ['product', 'integer', 'share of our time, %', 'ONNX Runtime Web, GOP/s', 'tile'],
    [
      ...groups.map(({ name, peerMs, ourMs, gigaOperations, tile }) => [
        name,
        (peerMs / ourMs).toFixed(1),
        ((100 * ourMs) / ours).toFixed(0),
        ((1000 * gigaOperations) / peerMs).toFixed(2),
        tile,
      ]),
      [
        'all',
        (theirs / ours).toFixed(1),
        '100',
        ((1000 * sum(({ gigaOperations }) => gigaOperations)) / theirs).toFixed(2),
        '',
      ],
    ],
  );
  return printClaims(`Products against ONNX Runtime Web on ${adapter}`, [
    atLeast('all products of DeiT-Tiny', theirs / ours, 3),
    atMost('words that differ from the reference', Math.max(...groups.map(({ wrongWords }) => wrongWords)), 0, 0),
    atMost('error of its products, of the largest value', Math.max(...groups.map(({ peerError }) => peerError)), 1e-5),
  ]);
}

async function measureInChromium(peers: string, library: string): Promise<PageResult> {
  const browser = await launchBrowser(FLAGS);
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    page.on('console', (message) => {
      if (message.type() === 'error') console.error(`Chromium: ${message.text()}`);
    });
    // WebGPU wants a secure context, which localhost is; nothing listens there
    await page.route(`${ORIGIN}**`, (route) => {
      const name = new URL(route.request().url()).pathname;
      if (name === '/') return route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>peers</title>' });
      if (name.startsWith('/onnxruntime/')) {
        const file = path.join(peers, 'node_modules/onnxruntime-web/dist', name.slice('/onnxruntime/'.length));
        return route.fulfill({ path: file });
      }
      return name.startsWith('/library/')
        ? route.fulfill({ path: path.join(library, name.slice('/library/'.length)) })
        : route.fulfill({ status: 404 });
    });
    await page.goto(ORIGIN);
    return await page.evaluate(
      async ([module, folder, groups]) => {
        const { measure } = (await import(module)) as PageModule;
        return measure(folder, groups);
      },
      ['/library/bench/peersPage.js', '/onnxruntime/', DEIT_TINY] as const,
    );
  } finally {
    await browser.close();
  }
}
