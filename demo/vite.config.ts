import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';
import { shortShaders } from '../vite.config.ts';
import { REPORT_SCRIPT } from './reportScript.ts';
import type { PackedImage, SampleIndex } from './sample.ts';

/** What the page may load, the files of the sample model not counted; the shaders to be read on it are. */
const PAGE_BUDGET_BYTES = 300_000;

const root = import.meta.dirname;
/** As the build of the library leaves it, for reports of Node and of the page alike. */
const reportScript = path.join(root, '../dist', REPORT_SCRIPT);
const sampleFolder = path.join(root, '../models/sample');

export default defineConfig({
  root,
  base: './',
  publicDir: false,
  server: { host: 'localhost' },
  preview: { host: 'localhost' },
  build: {
    outDir: path.join(root, '../dist/demo'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: {
    format: 'es',
    plugins: () => [shortShaders()],
    // a run needs nearly all of the library, and one file packs better than sixty; ONNX is loaded when it is asked for
    rolldownOptions: {
      checks: { ineffectiveDynamicImport: false },
      output: {
        codeSplitting: { groups: [{ name: 'library', test: /[\\/](?:src(?![\\/]export[\\/]onnx)|shaders)[\\/]/ }] },
      },
    },
  },
  plugins: [sample(), charts(), pageBudget()],
});

/** The files of the sample, and the recorded run of it, below `sample/`. */
function sample(): Plugin {
  const files = (): Record<string, Uint8Array | string> => {
    const sets = (['calib', 'eval'] as const).map((set) => ({ set, images: packedSet(set) }));
    const index = Object.fromEntries(
      sets.map(({ set, images }) => [set, images.map(({ entry }): PackedImage => entry)]),
    ) as unknown as SampleIndex;
    return {
      'config.json': readFileSync(path.join(sampleFolder, 'config.json')),
      'model.safetensors': readFileSync(path.join(sampleFolder, 'model.safetensors')),
      'index.json': JSON.stringify(index),
      'recorded.json': readFileSync(path.join(root, 'recorded.json')),
      ...Object.fromEntries(
        sets.map(({ set, images }) => [`${set}.bin`, Buffer.concat(images.map(({ content }) => content))]),
      ),
    };
  };
  return {
    name: 'sample',
    configureServer(server) {
      server.middlewares.use('/sample/', (request, response, next) => {
        const body = files()[(request.url ?? '').replace(/^\//, '')];
        if (body === undefined) next();
        else response.end(body);
      });
    },
    generateBundle() {
      for (const [name, source] of Object.entries(files())) {
        this.emitFile({ type: 'asset', fileName: `sample/${name}`, source });
      }
    },
  };
}

/** The script of reports, whose charts are the page's, too. */
function charts(): Plugin {
  return {
    name: 'charts',
    configureServer(server) {
      server.middlewares.use(`/${REPORT_SCRIPT}`, (_request, response) => {
        response.setHeader('content-type', 'text/javascript').end(readFileSync(reportScript));
      });
    },
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: REPORT_SCRIPT, source: readFileSync(reportScript) });
    },
  };
}

function packedSet(set: 'calib' | 'eval'): { entry: PackedImage; content: Buffer }[] {
  const folder = path.join(sampleFolder, set);
  const [, ...rows] = readFileSync(path.join(folder, 'labels.csv'), 'utf8').trim().split(/\r?\n/);
  const labels = new Map(rows.map((row) => row.split(',') as [string, string]));
  const names = readdirSync(folder).filter((name) => name.endsWith('.png'));
  return names.sort().map((file) => {
    const content = readFileSync(path.join(folder, file));
    const label = Number(labels.get(file));
    if (!Number.isInteger(label)) throw new Error(`${folder}/labels.csv has no label of ${file}`);
    return { entry: { file, bytes: content.length, label }, content };
  });
}

/** Prints what the page loads, gzipped, and fails the build when it is too much. */
function pageBudget(): Plugin {
  return {
    name: 'page-budget',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      let total = 0;
      for (const [name, file] of Object.entries(bundle)) {
        if (name.startsWith('sample/')) continue;
        total += gzipSync(file.type === 'chunk' ? file.code : file.source).byteLength;
      }
      const kB = (count: number) => `${(count / 1000).toFixed(1)} kB`;
      console.log(`the page has ${kB(total)} without its model (gzipped); its budget is ${kB(PAGE_BUDGET_BYTES)}`);
      if (total > PAGE_BUDGET_BYTES) this.error(`the page is over its budget by ${kB(total - PAGE_BUDGET_BYTES)}`);
    },
  };
}
