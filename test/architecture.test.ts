import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  filesReachedFrom,
  findCycle,
  importsOf,
  loadedWith,
  packagesReachedFrom,
  roomViolations,
  type ImportGraph,
} from './support/imports.ts';

const root = path.join(import.meta.dirname, '..');

/** The table of docs/architecture.md. */
const ROOMS = {
  reference: [],
  io: [],
  gpu: [],
  evaluate: [],
  kernels: ['gpu', '../shaders/'],
  model: ['io', 'gpu', 'kernels'],
  quantize: ['model', 'kernels', 'gpu'],
  calibrate: ['quantize', 'model', 'kernels', 'reference', 'evaluate', 'gpu', 'io'],
  simulate: ['quantize', 'model', 'kernels', 'gpu', 'io', 'calibrate/recipe.ts'],
  format: ['kernels', 'io'],
  export: ['format', 'quantize', 'model', 'kernels', 'io', 'calibrate/recipe.ts'],
  report: ['calibrate', 'quantize', 'io'],
  infer: ['format', 'kernels', 'reference', 'gpu', 'io'],
  selfTest: ['kernels', 'reference', 'gpu'],
  node: [
    'report',
    'selfTest',
    'evaluate',
    'infer',
    'export',
    'format',
    'simulate',
    'calibrate',
    'quantize',
    'model',
    'kernels',
    'reference',
    'io',
    'gpu',
  ],
  cli: ['index.ts', 'node.ts', 'calibrate/options.ts', '../package.json'],
};
const ENTRIES = ['index.ts', 'jobs.ts', 'node.ts', 'browser.ts'];
const TABLE = { ...ROOMS, ...Object.fromEntries(ENTRIES.map((entry) => [entry, ['*']])) };

/** Jobs of the library, and what they need for some options alone: loaded when they are used. */
const JOBS = [
  'calibrate/calibrate.ts',
  'calibrate/layerCurve.ts',
  'export/exportModel.ts',
  'export/onnx/exportOnnx.ts',
  'format/readModelFile.ts',
  'format/writeModelFile.ts',
  'infer/referenceEngine.ts',
  'infer/session.ts',
  'io/readImage.ts',
  'model/fetchModel.ts',
  'selfTest/selfTest.ts',
  'simulate/simulate.ts',
];
const OPTIONAL = [
  'calibrate/compensation/networkBias.ts',
  'calibrate/floatScorer.ts',
  'calibrate/layerReport.ts',
  'calibrate/perturbation.ts',
  'calibrate/publishedSearch.ts',
  'calibrate/ranges/calibrateRanges.ts',
  'quantize/floatOperand.ts',
  'quantize/floatProduct.ts',
];

const texts = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .map((file) => [file, readFileSync(path.join(root, 'src', file), 'utf8')] as const);
const graph: ImportGraph = new Map(texts.map(([file, text]) => [file, importsOf(file, text)]));
const loaded: ImportGraph = new Map(texts.map(([file, text]) => [file, loadedWith(file, text)]));

describe('the source', () => {
  test('keeps to the rooms', () => {
    expect(graph.size).toBeGreaterThan(30);
    expect(roomViolations(graph, TABLE, ENTRIES)).toEqual([]);
  });

  test('has no cycle of imports', () => {
    expect(findCycle(graph)).toBeUndefined();
  });

  test.each(['index.ts', 'browser.ts'])('%s reaches no package and nothing of Node', (entry) => {
    expect(graph.has(entry)).toBe(true);
    expect(packagesReachedFrom(graph, entry)).toEqual([]);
  });

  test('loads jobs on demand, and with a job neither what some options need nor other jobs of its kind', () => {
    const among = (entry: string, files: readonly string[]) => {
      const reached = filesReachedFrom(loaded, [entry]);
      return files.filter((file) => file !== entry).flatMap((file) => reached.get(file) ?? []);
    };
    const all = filesReachedFrom(graph, ['browser.ts']);
    expect([...JOBS, ...OPTIONAL].filter((file) => !all.has(file))).toEqual([]);
    expect(among('browser.ts', [...JOBS, ...OPTIONAL])).toEqual([]);
    for (const job of [
      'calibrate/calibrate.ts',
      'calibrate/layerCurve.ts',
      'simulate/simulate.ts',
      'export/exportModel.ts',
      'export/onnx/exportOnnx.ts',
    ]) {
      expect(among(job, [...JOBS, ...OPTIONAL])).toEqual([]);
    }
    const others = JOBS.filter((job) => job !== 'format/readModelFile.ts');
    for (const job of [
      'infer/session.ts',
      'infer/referenceEngine.ts',
      'format/writeModelFile.ts',
      'model/fetchModel.ts',
    ]) {
      expect(among(job, [...others, ...OPTIONAL])).toEqual([]);
    }
  });

  test('nothing but the command itself reaches the command', () => {
    const importers = [...graph].filter(([, imports]) => imports.some((target) => target.startsWith('cli/')));
    expect(importers.map(([file]) => file).filter((file) => !file.startsWith('cli/'))).toEqual([]);
  });

  test('is described by the table of docs/architecture.md', () => {
    const paragraphs = readFileSync(path.join(root, 'docs/architecture.md'), 'utf8').split('\n\n');
    const rooms = paragraphs.find((paragraph) => paragraph.startsWith('| room')) ?? '';
    const rows = rooms.matchAll(/^\| `(\w+)` +\| (.*?) +\|/gm);
    const documented = [...rows].map(([, room = '', allowed = '']) => {
      return [room, [...allowed.matchAll(/`([^`]+)`/g)].map(([, name]) => name).sort()];
    });
    const held = Object.entries(ROOMS).map(([room, allowed]) => {
      return [room, allowed.map((name) => name.replace(/^\.\.\//, '')).sort()];
    });
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(held));
  });
});

describe('the guards see', () => {
  const made = (files: Record<string, string[]>): ImportGraph => new Map(Object.entries(files));
  const table = { low: [], high: ['low'], picky: ['high/data.ts'], shader: ['../shaders/'], 'index.ts': ['*'] };

  test.each<[string, Record<string, string[]>, string[]]>([
    [
      'an import against the flow',
      { 'low/a.ts': ['high/b.ts'], 'high/b.ts': [] },
      ['low/a.ts may not import high/b.ts'],
    ],
    ['a room that is not in the table', { 'new/a.ts': [] }, ['new/a.ts lies in no room of the table']],
    ['a loose file', { 'loose.ts': [] }, ['loose.ts lies in no room of the table']],
    [
      'another file of a room',
      { 'picky/a.ts': ['high/b.ts'], 'high/b.ts': [] },
      ['picky/a.ts may not import high/b.ts'],
    ],
    ['an entry used from a room', { 'high/a.ts': ['index.ts'], 'index.ts': [] }, ['high/a.ts may not import index.ts']],
    ['a file outside', { 'low/a.ts': ['../shaders/a.wgsl'] }, ['low/a.ts may not import ../shaders/a.wgsl']],
    ['what is outside even for an entry', { 'index.ts': ['../bench/a.ts'] }, ['index.ts may not import ../bench/a.ts']],
  ])('%s', (_name, files, problems) => {
    expect(roomViolations(made(files), table, ['index.ts'])).toEqual(problems);
  });

  test('nothing in what is allowed', () => {
    const files = {
      'low/a.ts': ['low/b.ts', 'node:fs'],
      'low/b.ts': [],
      'high/data.ts': ['low/a.ts'],
      'picky/a.ts': ['high/data.ts'],
      'shader/a.ts': ['../shaders/a.wgsl'],
      'index.ts': ['high/data.ts', 'picky/a.ts'],
    };
    expect(roomViolations(made(files), table, ['index.ts'])).toEqual([]);
    expect(findCycle(made(files))).toBeUndefined();
  });

  test('a cycle, with its way', () => {
    const files = { 'a.ts': ['b.ts'], 'b.ts': ['c.ts', 'd.ts'], 'c.ts': [], 'd.ts': ['b.ts'] };
    expect(findCycle(made(files))).toBe('b.ts -> d.ts -> b.ts');
    expect(findCycle(made({ 'a.ts': ['a.ts'] }))).toBe('a.ts -> a.ts');
  });

  test('packages and builtins at any depth', () => {
    const files = {
      'index.ts': ['io/a.ts', 'io/b.ts'],
      'io/a.ts': ['../x.json'],
      'io/b.ts': ['sharp', 'node:fs', 'fs'],
    };
    expect(packagesReachedFrom(made(files), 'index.ts')).toEqual(
      ['sharp', 'node:fs', 'fs'].map((name) => `index.ts -> io/b.ts -> ${name}`),
    );
  });

  test('what is loaded together with a file', () => {
    const text = `
      import a from './a.ts';
      import type { B } from '../io/b.ts';
      import { type C } from './c.ts';
      import type * as all from './d.ts';
      export * from '../e.ts';
      export type { F } from './f.ts';
      export { g } from './g.ts';
      import './h.ts';
      const i = await import('../io/i.ts');
      type J = import('../io/j.ts').J;
      import wgsl from '../../shaders/k.wgsl?raw';`;
    expect(loadedWith('gpu/x.ts', text)).toEqual([
      'gpu/a.ts',
      'gpu/c.ts',
      'e.ts',
      'gpu/g.ts',
      'gpu/h.ts',
      '../shaders/k.wgsl',
    ]);
  });

  test('every form of import', () => {
    const text = `
      import a from './a.ts';
      import type { B } from '../io/b.ts';
      import { type C } from './c.ts';
      export * from '../d.ts';
      export { e } from './e.ts';
      import './f.ts';
      const g = await import('../io/g.ts');
      type H = import('../io/h.ts').H;
      import wgsl from '../../shaders/i.wgsl?raw';
      import sharp from 'sharp';
      // import './no.ts'
      const text = "import './no.ts'";`;
    expect(importsOf('gpu/x.ts', text).sort()).toEqual(
      [
        'gpu/a.ts',
        'io/b.ts',
        'gpu/c.ts',
        'd.ts',
        'gpu/e.ts',
        'gpu/f.ts',
        'io/g.ts',
        'io/h.ts',
        '../shaders/i.wgsl',
        'sharp',
      ].sort(),
    );
  });
});
