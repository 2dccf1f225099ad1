/// <reference types="vite/types/importMeta.d.ts" />
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Kernel } from '../src/gpu/kernel.ts';
import { interfaceProblems, libraryProblems, overrideDefaults } from './support/shaderInterface.ts';

const root = path.join(import.meta.dirname, '..');
const modules = import.meta.glob<Record<string, unknown>>('../src/kernels/*.ts', { eager: true });
const records = Object.entries(modules).flatMap(([file, exported]) =>
  Object.entries(exported)
    .filter(([name]) => name.endsWith('Kernel'))
    .map(([name, kernel]) => ({ file: path.basename(file), name, kernel: kernel as Kernel })),
);
const shaders = new Map(
  readdirSync(path.join(root, 'shaders'))
    .filter((file) => file.endsWith('.wgsl'))
    .map((file) => [path.basename(file, '.wgsl'), readFileSync(path.join(root, 'shaders', file), 'utf8')]),
);
const isLibrary = (stem: string) => stem.startsWith('lib_');
const libraries = [...shaders].filter(([stem]) => isLibrary(stem));
const camelCase = (stem: string) => stem.replace(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());

test('every shader has a kernel record, and every record a shader', () => {
  const stems = [...shaders.keys()].filter((stem) => !isLibrary(stem));
  expect(stems.length).toBeGreaterThan(0);
  expect(records.map(({ kernel }) => kernel.name).sort()).toEqual(stems.sort());
});

describe.each(records.map((record) => [record.kernel.name, record] as const))('%s', (stem, { file, name, kernel }) => {
  test('is what its record says', () => {
    expect(interfaceProblems(kernel)).toEqual([]);
  });

  test('is the text of its file, followed by libraries at most', () => {
    const text = shaders.get(stem) ?? 'no such shader';
    expect(kernel.wgsl.startsWith(text)).toBe(true);
    const rest = libraries.reduce((left, [, library]) => left.replace(library, ''), kernel.wgsl.slice(text.length));
    expect(rest.trim()).toBe('');
    expect(text.startsWith(`// ${stem}: `)).toBe(true);
  });

  test('has its wrapper, its twin and its test under its own name', () => {
    const camel = camelCase(stem);
    expect([file, name]).toEqual([`${camel}.ts`, `${camel}Kernel`]);
    expect(existsSync(path.join(root, `src/reference/${camel}.ts`))).toBe(true);
    expect(existsSync(path.join(root, `test/kernels/${camel}.test.ts`))).toBe(true);
  });
});

test('libraries hold functions only, and each is used', () => {
  for (const [stem, text] of libraries) {
    expect(libraryProblems(text), stem).toEqual([]);
    expect(
      records.some(({ kernel }) => kernel.wgsl.includes(text)),
      `${stem} is used`,
    ).toBe(true);
  }
});

describe('the guard sees', () => {
  const good: Kernel = {
    name: 'add',
    wgsl: `
      override SIZE: u32 = 64;
      override BIAS: i32 = -3; // override GHOST: u32 = 1;
      struct Params { count: u32, first: i32 }
      @group(0) @binding(0) var<storage, read> a: array<u32>;
      @group(0) @binding(1) var<storage, read_write> b: array<u32>;
      @group(0) @binding(2) var<uniform> params: Params;
      @compute @workgroup_size(SIZE)
      fn add(@builtin(global_invocation_id) id: vec3u) {
        if (id.x < params.count) { b[id.x] = a[id.x] + u32(params.first + BIAS); } // not f32
      }`,
    bindings: { a: 'read', b: 'read_write' },
    params: { count: 'u32', first: 'i32' },
    overrides: { BIAS: -3, SIZE: 64 },
  };

  test('nothing in a true record', () => {
    expect(interfaceProblems(good)).toEqual([]);
    expect(overrideDefaults('override A: f32 = 0.0625; override B = 7u; override C: u32;')).toEqual({
      A: 0.0625,
      B: 7,
      C: NaN,
    });
  });

  const edit = (from: string, to: string): Partial<Kernel> => ({ wgsl: good.wgsl.replaceAll(from, to) });
  test.each<[string, Partial<Kernel>, string]>([
    ['another name', { name: 'sub' }, 'entry points'],
    ['a second entry point', { wgsl: `${good.wgsl}\n@compute @workgroup_size(1) fn more() {}` }, 'entry points'],
    ['bindings in another order', { bindings: { b: 'read_write', a: 'read' } }, 'bindings'],
    ['another access', { bindings: { a: 'read_write', b: 'read_write' } }, 'bindings'],
    ['a gap in the bindings', edit('@binding(1)', '@binding(3)'), 'bindings'],
    ['a second group', edit('@group(0) @binding(0)', '@group(1) @binding(0)'), 'only @group(0)'],
    ['parameters that are not last', edit('var<uniform> params', 'var<uniform> sizes'), 'the last binding'],
    ['parameters in another order', { params: { first: 'i32', count: 'u32' } }, 'parameters'],
    ['a parameter of another type', { params: { count: 'u32', first: 'u32' } }, 'parameters'],
    ['a vector among the parameters', edit('first: i32', 'first: vec2i'), 'parameters'],
    ['another default', { overrides: { BIAS: 3, SIZE: 64 } }, 'overrides'],
    ['an override that the record lacks', { overrides: { SIZE: 64 } }, 'overrides'],
    ['an override without a default', edit('SIZE: u32 = 64', 'SIZE: u32'), 'overrides'],
    ['a float between integers', edit('u32(params.first + BIAS)', 'u32(f32(params.first))'), 'an integer kernel'],
    ['a float literal between integers', edit('u32(params.first + BIAS)', 'u32(1.5)'), 'an integer kernel'],
  ])('%s', (_name, change, problem) => {
    expect(interfaceProblems({ ...good, ...change }).join('\n')).toContain(problem);
  });

  test('what a library must not hold', () => {
    expect(libraryProblems('fn f() -> u32 { return 1u; } // @group')).toEqual([]);
    expect(libraryProblems('@group(0) @binding(0) var<uniform> x: u32;')).toHaveLength(2);
    expect(libraryProblems('@compute @workgroup_size(1) fn f() {}')).toHaveLength(1);
  });
});
