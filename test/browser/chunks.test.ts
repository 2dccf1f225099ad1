import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { importsOf } from '../support/imports.ts';

const dist = path.join(import.meta.dirname, '../../dist');

test('every file of the browser library links and runs, the deepest first', () => {
  const files = new Set(['browser.js']);
  for (const file of files) {
    for (const next of importsOf(file, readFileSync(path.join(dist, file), 'utf8'))) files.add(next);
  }
  expect([...files].filter((file) => /\/(calibrate|session)-/.test(file))).toHaveLength(2);
  const urls = [...files].reverse().map((file) => pathToFileURL(path.join(dist, file)).href);
  // in a process of its own: a test runner may replace the modules that it loads by what is no module
  const script = `for (const url of ${JSON.stringify(urls)}) await import(url);`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});
