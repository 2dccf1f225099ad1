import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type EnvironmentOptions, type Plugin } from 'vite';
import { bareShaders } from './scripts/bareShaders.js';

/** Packages of the platform entries and, the last two, of the benches; they stay imports. */
const EXTERNAL = ['webgpu', 'sharp', 'playwright-core', 'onnxruntime-node'];
/** What a bench has a page load from its server. */
const SERVED = '/library/';
/** What a page may load for a job of the library, everything that it loads before included. */
const JOB_BUDGET_BYTES = 80_000;
/** Every file of the browser library together: what it has, and a little. What bounds it is in docs/dependencies.md. */
const LIBRARY_BUDGET_BYTES = 189_000;

const benchFolder = path.join(import.meta.dirname, 'bench');
const benches = (existsSync(benchFolder) ? readdirSync(benchFolder) : [])
  .filter((file) => file.endsWith('.ts'))
  .map((file) => [`bench/${path.basename(file, '.ts')}`, `bench/${file}`] as const);

/** A build each: a page loads nothing of the others', and neither the library nor the command anything of a bench. */
const environments = {
  library: bundle({ index: 'src/index.ts', node: 'src/node.ts', cli: 'src/cli/main.ts' }),
  browser: minified(bundle({ browser: 'src/browser.ts' }, 'browser')),
  report: minified(bundle({ reportScript: 'src/report/reportScript.ts' }, 'browser')),
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

/** For a page, what it loads at once is one file, and the rest is cut by the jobs that need it. */
function bundle(input: Readonly<Record<string, string>>, platform: 'browser' | 'node' = 'node'): EnvironmentOptions {
  return {
    consumer: 'server',
    resolve: { noExternal: true, external: EXTERNAL },
    build: {
      ssr: true,
      emptyOutDir: false,
      rolldownOptions: {
        input,
        platform,
        external: (id) => isBuiltin(id) || EXTERNAL.includes(id) || id.startsWith(SERVED),
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: 'chunks/[name]-[hash].js',
          codeSplitting: { groups: platform === 'browser' ? [{ name: 'core', tags: ['$initial'] }] : [] },
        },
      },
    },
  };
}

/** For what a page loads. */
function minified({ build, ...environment }: EnvironmentOptions): EnvironmentOptions {
  return { ...environment, build: { ...build, minify: true } };
}

/** Shaders as they are delivered. */
export function shortShaders(): Plugin {
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

/**
 * Prints what a page loads, gzipped: at once, for each job of the library, and what single options of a job add. Fails the build
 * when a job or all of it is too large or anything needs Node.
 */
function browserBudget(): Plugin {
  return {
    name: 'browser-budget',
    applyToEnvironment: ({ name }) => name === 'browser',
    generateBundle(_options, bundle) {
      const chunkOf = (file: string) => {
        const chunk = bundle[file];
        return chunk?.type === 'chunk' ? chunk : this.error(`a browser cannot load ${file}, which the library imports`);
      };
      const sizes = new Map<string, number>();
      const bytes = (files: Iterable<string>) => {
        let sum = 0;
        for (const file of files) {
          if (!sizes.has(file)) sizes.set(file, gzipSync(chunkOf(file).code).byteLength);
          sum += sizes.get(file) as number;
        }
        return sum;
      };
      const loadedWith = (file: string, before: Iterable<string>) => {
        const loaded = new Set(before).add(file);
        for (const each of loaded) for (const next of chunkOf(each).imports) loaded.add(next);
        return loaded;
      };
      const onDemand = (loaded: Iterable<string>) => [
        ...new Set([...loaded].flatMap((file) => chunkOf(file).dynamicImports)),
      ];
      const kB = (count: number) => `${(count / 1000).toFixed(1)} kB`;

      const atOnce = loadedWith('browser.js', []);
      const jobs = onDemand(atOnce).map((file) => ({ file, loaded: loadedWith(file, atOnce) }));
      console.log(`a page loads ${kB(bytes(atOnce))} of the library at once (gzipped, shaders included), and in all`);
      for (const { file, loaded } of jobs) {
        const options = onDemand(loaded).filter(
          (option) => !jobs.some((job) => job.file === option) && !loaded.has(option),
        );
        const added = options.map((option) => {
          const own = bytes(loadedWith(option, loaded)) - bytes(loaded);
          return `${chunkOf(option).name} ${kB(own)}`;
        });
        const total = bytes(loaded);
        const more = added.length > 0 ? `; with options more: ${added.join(', ')}` : '';
        console.log(`  ${kB(total)} for ${chunkOf(file).name}${more}`);
      }
      const everything = Object.keys(bundle).filter((file) => bundle[file]?.type === 'chunk');
      const whole = bytes(everything);
      const budgets = `${kB(JOB_BUDGET_BYTES)}, of all of it ${kB(LIBRARY_BUDGET_BYTES)}`;
      console.log(`  ${kB(whole)} for all of it; the budget of a job is ${budgets}`);
      const large = jobs.filter(({ loaded }) => bytes(loaded) > JOB_BUDGET_BYTES).map(({ file }) => chunkOf(file).name);
      if (large.length > 0) this.error(`over the budget: ${large.join(', ')}`);
      if (whole > LIBRARY_BUDGET_BYTES)
        this.error(`the library is over its budget by ${kB(whole - LIBRARY_BUDGET_BYTES)}`);
    },
  };
}
