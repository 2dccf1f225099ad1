import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, minifySync, type EnvironmentOptions, type Plugin } from 'vite';
import { bareShaders } from './scripts/bareShaders.js';

/** Packages of the platform entries and, the last, of the benches; they stay imports. */
const EXTERNAL = ['webgpu', 'sharp', 'playwright-core'];
/** What a bench has a page load from its server. */
const SERVED = '/library/';
const BROWSER_BUDGET_BYTES = 80_000;

const benchFolder = path.join(import.meta.dirname, 'bench');
const benches = (existsSync(benchFolder) ? readdirSync(benchFolder) : [])
  .filter((file) => file.endsWith('.ts'))
  .map((file) => [`bench/${path.basename(file, '.ts')}`, `bench/${file}`] as const);

/** A build each: a page loads nothing of the others', and neither the library nor the command anything of a bench. */
const environments = {
  library: bundle({ index: 'src/index.ts', node: 'src/node.ts', cli: 'src/cli/main.ts' }),
  browser: bundle({ browser: 'src/browser.ts' }),
  benches: bundle(Object.fromEntries(benches)),
};

export default defineConfig({
  build: { outDir: 'dist', target: 'node20.19' },
  environments,
  builder: {
    async buildApp(builder) {
      rmSync(path.join(import.meta.dirname, 'dist'), { recursive: true, force: true });
      for (const name of Object.keys(environments)) await builder.build(builder.environments[name]!);
    },
  },
  plugins: [shortShaders(), browserBudget()],
});

function bundle(input: Readonly<Record<string, string>>): EnvironmentOptions {
  return {
    consumer: 'server',
    resolve: { noExternal: true, external: EXTERNAL },
    build: {
      ssr: true,
      emptyOutDir: false,
      rolldownOptions: {
        input,
        external: (id) => isBuiltin(id) || EXTERNAL.includes(id) || id.startsWith(SERVED),
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: 'chunks/[name]-[hash].js',
          // by themselves they are smaller: gzip finds what is alike within 32 kB
          codeSplitting: { groups: [{ name: 'shaders', test: /\.wgsl\?raw$/ }] },
        },
      },
    },
  };
}

/** Shaders as they are delivered. */
function shortShaders(): Plugin {
  const folder = path.join(import.meta.dirname, 'shaders');
  const files = readdirSync(folder).filter((file) => file.endsWith('.wgsl'));
  const texts = bareShaders(
    Object.fromEntries(
      files.map((file) => [path.basename(file, '.wgsl'), readFileSync(path.join(folder, file), 'utf8')]),
    ),
  );
  return {
    name: 'short-shaders',
    enforce: 'pre',
    load(id) {
      if (!id.endsWith('.wgsl?raw')) return undefined;
      return `export default ${JSON.stringify(texts[path.basename(id, '.wgsl?raw')])}`;
    },
  };
}

/** Prints the size of the library as a page loads it (minified, gzip), and fails the build when it is too large or needs Node. */
function browserBudget(): Plugin {
  return {
    name: 'browser-budget',
    applyToEnvironment: ({ name }) => name === 'browser',
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
