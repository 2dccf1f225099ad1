import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { filesReachedFrom, importsOf } from '../support/imports.ts';

const dist = path.join(import.meta.dirname, '../../dist');

test('every file of the browser library links and runs, the deepest first', async () => {
  const graph = new Map<string, readonly string[]>([['browser.js', []]]);
  for (const file of graph.keys()) {
    const imports = importsOf(file, readFileSync(path.join(dist, file), 'utf8'));
    graph.set(file, imports);
    for (const next of imports) if (!graph.has(next)) graph.set(next, []);
  }
  const files = [...filesReachedFrom(graph, ['browser.js']).keys()];
  expect(files.some((file) => file.includes('calibrate'))).toBe(true);
  expect(files.some((file) => file.includes('session'))).toBe(true);
  for (const file of files.reverse()) {
    const exported = (await import(/* @vite-ignore */ pathToFileURL(path.join(dist, file)).href)) as object;
    expect([file, Object.keys(exported).length > 0]).toEqual([file, true]);
  }
});
