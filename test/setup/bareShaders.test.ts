import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { bareShader, bareShaders } from '../../scripts/bareShaders.js';

const folder = path.join(import.meta.dirname, '../../shaders');
const files = readdirSync(folder).filter((file) => file.endsWith('.wgsl'));
const texts = Object.fromEntries(
  files.map((file) => [path.basename(file, '.wgsl'), readFileSync(path.join(folder, file), 'utf8')]),
);
/** The longest matches come first. */
const TOKEN = /\.?\w[\w.]*|[<>]{2}=|->|\+\+|--|&&|\|\||[<>]{2}|[-+*/%&|^<>=!]=|\S/g;
const tokens = (wgsl: string) => wgsl.replace(/\/\/.*/g, '').match(TOKEN) ?? [];
const names = (wgsl: string) => tokens(wgsl).flatMap((token) => token.match(/\w+/g) ?? [token]);

test('a bare shader has the tokens of its file', () => {
  for (const [stem, text] of Object.entries(texts)) {
    expect(tokens(bareShader(text)), stem).toEqual(tokens(text));
  }
});

test('a bare shader has no comment and no space that is not needed', () => {
  expect(bareShader('// head\nfn f(x: u32) -> u32 { // why\n  return x + 1u;\n}\n')).toBe(
    'fn f(x:u32)->u32{return x+1u;}',
  );
});

test.each(['a- -b', 'a& &b', 'a/ *b', 'let x', 'else if', 'return 1.5'])('the space of %j stays', (text) => {
  expect(bareShader(text)).toBe(text);
});

test('names are replaced one to one over all shaders', () => {
  const short = bareShaders(texts);
  const given = new Map<string, string>();
  for (const [stem, text] of Object.entries(texts)) {
    const [before, after] = [names(text), names(short[stem]!)];
    expect(after.length, stem).toBe(before.length);
    before.forEach((name, i) => {
      expect(after[i], `${name} in ${stem}`).toBe(given.get(name) ?? after[i]);
      given.set(name, after[i]!);
    });
  }
  expect(new Set(given.values()).size).toBe(given.size);
  expect([...given].filter(([from, to]) => from !== to).length).toBeGreaterThan(200);
});

test('names of WGSL, entry points and overrides stay, and so do fields of vectors', () => {
  const { kernel } = bareShaders({
    kernel:
      'override WIDTH: u32 = 8;\n@compute @workgroup_size(WIDTH)\nfn kernel(@builtin(local_invocation_id) local: vec3u) { let width = min(local.x, WIDTH); }',
  });
  expect(kernel).toBe(
    'override WIDTH:u32=8;@compute@workgroup_size(WIDTH)fn kernel(@builtin(local_invocation_id)a0:vec3u){let b0=min(a0.x,WIDTH);}',
  );
});
