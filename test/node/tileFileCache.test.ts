import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TileFileCache } from '../../src/node/tileFileCache.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'twinshift-tiles-'))));
afterEach(() => rmSync(root, { recursive: true }));

test('a choice is there for the next process, one a key', async () => {
  const cache = new TileFileCache(root);
  expect(await cache.get('an adapter / a shape')).toBeUndefined();
  await cache.set('an adapter / a shape', 'tile 1');
  await cache.set('another', 'tile 2');
  await cache.set('another', 'tile 3');
  const later = new TileFileCache(root);
  expect(await later.get('an adapter / a shape')).toBe('tile 1');
  expect(await later.get('another')).toBe('tile 3');
  expect(readdirSync(join(root, 'tiles'))).toHaveLength(2);
});

test('what is spoiled, of another key or cannot be written is as good as absent', async () => {
  const cache = new TileFileCache(root);
  await cache.set('key', 'value');
  const file = join(root, 'tiles', readdirSync(join(root, 'tiles'))[0] as string);
  for (const text of ['', '{', '["other","value"]', '["key",7]', 'null']) {
    writeFileSync(file, text);
    expect(await cache.get('key')).toBeUndefined();
  }
  const blocked = join(root, 'file');
  writeFileSync(blocked, '');
  chmodSync(blocked, 0o444);
  const nowhere = new TileFileCache(blocked);
  await nowhere.set('key', 'value');
  expect(await nowhere.get('key')).toBeUndefined();
});
