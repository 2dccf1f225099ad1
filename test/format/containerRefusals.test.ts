import { describe, expect, test } from 'vitest';
import { readModelFile } from '../../src/format/readModelFile.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { editModelFile } from '../support/editModelFile.ts';
import { good, messageOf, refusedAfter } from '../support/modelFileRefusal.ts';

test('the file itself is fine, changed back or not at all', () => {
  expect(() => readModelFile(good, 'm')).not.toThrow();
  expect(editModelFile(good, () => undefined)).toEqual(good);
});

describe('the container', () => {
  test.each<[string, Partial<Record<'format' | 'version' | 'manifest' | 'more', string | undefined>>, string]>([
    ['another format', { format: 'pt' }, 'the format is "pt", wanted "twinshift-model"'],
    ['no format', { format: undefined }, 'the format is missing'],
    [
      'a later version',
      { version: '4' },
      'the version is "4", this program reads "2" and "3" only. Export the model again or use the program that wrote it.',
    ],
    ['the version before', { version: '1' }, 'the version is "1", this program reads "2" and "3" only.'],
    ['no version', { version: undefined }, 'the version is missing'],
    ['no manifest', { manifest: undefined }, 'the metadata holds no manifest'],
    ['other metadata', { more: 'x' }, 'the metadata holds "more", which version 2 does not know'],
    ['a manifest that is no JSON', { manifest: '{' }, 'the manifest is not JSON'],
    ['a manifest that is no object', { manifest: '[]' }, 'manifest is [], wanted an object'],
    ['a key twice', { manifest: '{"input":"a","input":"b"}' }, 'the manifest names "input" twice'],
    [
      'a manifest nested too deeply',
      { manifest: `${'['.repeat(50_000)}${']'.repeat(50_000)}` },
      'manifest is a value nested too deeply',
    ],
  ])('%s', (_name, changes, message) => {
    const refused = refusedAfter(({ metadata }) => {
      for (const [key, value] of Object.entries(changes)) {
        if (value === undefined) Reflect.deleteProperty(metadata, key);
        else metadata[key] = value;
      }
    });
    expect(refused).toContain(message);
  });

  test('of a later version that holds nothing new is read as it is', () => {
    const later = editModelFile(good, ({ metadata }) => (metadata['version'] = '3'));
    expect(writeModelFile(readModelFile(later, 'm'))).toEqual(good);
  });

  test('a truncated file, at any length', () => {
    for (const length of [0, 7, 8, 100, good.length >> 1, good.length - 1]) {
      expect(messageOf(good.subarray(0, length))).toMatch(/bytes/);
    }
    expect(messageOf(good.subarray(0, good.length - 1))).toContain('truncated');
  });
});
