import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CheckpointCache } from '../../src/node/checkpointCache.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'twinshift-cache-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('gives back what was written for a job and a unit, and nothing else', async () => {
  const cache = new CheckpointCache(root);
  await cache.write('job', 'blocks.1', Uint8Array.of(1, 2));
  await cache.write('job', '../blocks.2', Uint8Array.of(3)); // a name is no path
  expect([...((await cache.read('job', 'blocks.1')) ?? [])]).toEqual([1, 2]);
  expect([...((await cache.read('job', '../blocks.2')) ?? [])]).toEqual([3]);
  expect(await cache.read('job', 'blocks.3')).toBeUndefined();
  expect(await cache.read('other', 'blocks.1')).toBeUndefined();
  expect(await readdir(join(root, 'calibrations', 'job'))).toHaveLength(2);
});

test('a finished job goes, and with it jobs that were left over a week ago', async () => {
  const cache = new CheckpointCache(root);
  for (const job of ['done', 'fresh', 'old']) await cache.write(job, 'head', Uint8Array.of(1));
  const longAgo = new Date(Date.now() - 8 * 24 * 3600 * 1000);
  await utimes(join(root, 'calibrations', 'old'), longAgo, longAgo);
  await cache.remove('done');
  expect(await readdir(join(root, 'calibrations'))).toEqual(['fresh']);
});

test('a place that cannot be written costs nothing but the cache', async () => {
  const file = join(root, 'file');
  await writeFile(file, '');
  const cache = new CheckpointCache(join(file, 'below'));
  await cache.write('job', 'head', Uint8Array.of(1));
  expect(await cache.read('job', 'head')).toBeUndefined();
  await cache.remove('job');
});
