import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, minifySync, type Plugin } from 'vite';

/** Packages of the platform entries and, the last, of the benches; they stay imports. */
const EXTERNAL = ['webgpu', 'sharp', 'playwright-core'];
/** What a bench has a page load from its server. */
const SERVED = '/library/';
const BROWSER_BUDGET_BYTES = 95_000;

const benchFolder = path.join(import.meta.dirname, 'bench');
const benches = (existsSync(benchFolder) ? readdirSync(benchFolder) : [])
  .filter((file) => file.endsWith('.ts'))
  .map((file) => [`bench/${path.basename(file, '.ts')}`, `bench/${file}`] as const);

export default defineConfig({
  build: {
    ssr: true,
    target: 'node20.19',
    outDir: 'dist',
    emptyOutDir: true,
    rolldownOptions: {
      input: {
        index: 'src/index.ts',
        node: 'src/node.ts',
        browser: 'src/browser.ts',
        cli: 'src/cli/main.ts',
        ...Object.fromEntries(benches),
      },
      external: (id) => isBuiltin(id) || EXTERNAL.includes(id) || id.startsWith(SERVED),
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
    },
  },
  ssr: { noExternal: true, external: EXTERNAL },
  plugins: [bareShaders(), browserBudget()],
});

/** Shaders without their comments: half of their bytes. Lines stay, so that a compiler's message names those of the file. */
function bareShaders(): Plugin {
  return {
    name: 'bare-shaders',
    enforce: 'pre',
    load(id) {
      if (!id.endsWith('.wgsl?raw')) return undefined;
      const text = readFileSync(id.slice(0, -'?raw'.length), 'utf8');
      return `export default ${JSON.stringify(text.replace(/[ \t]*\/\/.*$/gm, ''))}`;
    },
  };
}

/** Prints the size of the library as a page loads it (minified, gzip), and fails the build when it is too large or needs Node. */
function browserBudget(): Plugin {
  return {
    name: 'browser-budget',
    generateBundle(_options, bundle) {
      const loaded = new Set(['browser.js']);
      let bytes = 0;
      for (const file of loaded) {
        const chunk = bundle[file];
        if (chunk?.type !== 'chunk') this.error(`browser.js must not import ${file}: a browser cannot load it`);
        bytes += gzipSync(minifySync(file, chunk.code).code).byteLength;
        for (const next of [...chunk.imports, ...chunk.dynamicImports]) loaded.add(next);
      }
      const size = `the browser library is ${(bytes / 1000).toFixed(1)} kB minified and gzipped, shaders included (budget ${BROWSER_BUDGET_BYTES / 1000} kB)`;
      if (bytes > BROWSER_BUDGET_BYTES) this.error(size);
      console.log(size);
    },
  };
}
