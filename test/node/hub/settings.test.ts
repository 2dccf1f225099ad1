import { homedir } from 'node:os';
import { join } from 'node:path';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { pointTo } from '../../../src/node/hub/cacheFolder.ts';
import { hubSettings, type Environment } from '../../../src/node/hub/settings.ts';
import { tree, useHub } from '../../support/hubFolder.ts';

const { folder } = useHub();
const home = homedir();
/** Nothing of the machine is read. */
const NO_TOKEN = { HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' };

test.each<[string, Environment, string]>([
  ['nothing', {}, join(home, '.cache/huggingface/hub')],
  ['XDG_CACHE_HOME', { XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
  ['HF_HOME', { XDG_CACHE_HOME: '/x', HF_HOME: '/h' }, '/h/hub'],
  ['the old name', { HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
  ['HF_HUB_CACHE', { HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/c' }, '/c'],
  ['a home', { HF_HOME: '~/models' }, join(home, 'models/hub')],
  ['variables', { HF_HUB_CACHE: '$A/${B}/$C', A: '/a', B: 'b' }, '/a/b/$C'],
])('the cache by %s', async (_what, env, cache) => {
  expect((await hubSettings({ ...env, ...NO_TOKEN })).cache).toBe(cache);
});

test.each<[Environment, boolean]>([
  [{}, false],
  [{ HF_HUB_OFFLINE: '0' }, false],
  [{ HF_HUB_OFFLINE: '1' }, true],
  [{ HF_HUB_OFFLINE: 'on' }, true],
  [{ HF_HUB_OFFLINE: '', TRANSFORMERS_OFFLINE: 'TRUE' }, true],
])('offline by %j: %s', async (env, offline) => {
  expect((await hubSettings({ ...env, ...NO_TOKEN })).offline).toBe(offline);
});

test.each<[string | undefined, string]>([
  [undefined, 'https://huggingface.co'],
  ['', 'https://huggingface.co'],
  ['https://hub.example//', 'https://hub.example'],
  ['http://localhost:8080/hub', 'http://localhost:8080/hub'],
])('the endpoint by HF_ENDPOINT %j', async (text, endpoint) => {
  expect((await hubSettings({ HF_ENDPOINT: text, ...NO_TOKEN })).endpoint).toBe(endpoint);
});

test('a snapshot gets the best name that the disk allows, in place of the old, and nothing where none is allowed', async () => {
  const place = await folder();
  const blob = join(place, 'blob');
  const pointer = join(place, 'snapshot/file');
  await writeFile(blob, 'new');
  await mkdir(join(place, 'snapshot'));
  await writeFile(pointer, 'old');
  const refused = () => Promise.reject(new Error('not permitted'));
  await expect(pointTo(blob, pointer, [refused, refused])).rejects.toThrow('not permitted');
  expect(await readFile(pointer, 'utf8')).toBe('old');
  await pointTo(blob, pointer, [refused, (target, path) => writeFile(path, `copy of ${target}`)]);
  expect(await readFile(pointer, 'utf8')).toBe(`copy of ${blob}`);
  expect(await tree(place)).toEqual(['blob', 'snapshot/file']);
});
