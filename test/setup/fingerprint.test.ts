import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fingerprint, isCurrent, writeRecord } from '../../scripts/setup/fingerprint.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'fingerprint-'));
  mkdirSync(path.join(root, 'src/deep'), { recursive: true });
  writeFileSync(path.join(root, 'src/a.ts'), 'one');
  writeFileSync(path.join(root, 'src/deep/b.ts'), 'two');
  writeFileSync(path.join(root, 'other.txt'), 'x');
});
afterEach(() => rmSync(root, { recursive: true }));

const sources = ['src', 'config.json'];

test('the same files give the same hash, whatever their times and the rest of the folder', () => {
  const before = fingerprint(root, sources);
  utimesSync(path.join(root, 'src/a.ts'), 1, 1);
  writeFileSync(path.join(root, 'other.txt'), 'y');
  expect(fingerprint(root, sources)).toBe(before);
  expect(before).toMatch(/^[0-9a-f]{64}$/);
});

test.each([
  ['a change', () => writeFileSync(path.join(root, 'src/deep/b.ts'), 'twp')],
  ['a new file', () => writeFileSync(path.join(root, 'src/c.ts'), '')],
  ['a removed file', () => rmSync(path.join(root, 'src/a.ts'))],
  ['a listed file that appears', () => writeFileSync(path.join(root, 'config.json'), '{}')],
  [
    'contents that move from one file to another',
    () => {
      writeFileSync(path.join(root, 'src/a.ts'), 'onetwo');
      writeFileSync(path.join(root, 'src/deep/b.ts'), '');
    },
  ],
])('%s changes the hash', (_name, change) => {
  const before = fingerprint(root, sources);
  change();
  expect(fingerprint(root, sources)).not.toBe(before);
});

test('a record is current for its own hash while the outputs are there', () => {
  const record = path.join(root, 'dist/record.json');
  const output = path.join(root, 'dist/out.js');
  expect(isCurrent(record, 'abc')).toBe(false);
  writeRecord(record, 'abc');
  expect(isCurrent(record, 'abc')).toBe(true);
  expect(isCurrent(record, 'abd')).toBe(false);
  expect(isCurrent(record, 'abc', [output])).toBe(false);
  writeFileSync(output, '');
  expect(isCurrent(record, 'abc', [output])).toBe(true);
  writeFileSync(record, '{"hash": "ab');
  expect(isCurrent(record, 'abc', [output])).toBe(false);
});
