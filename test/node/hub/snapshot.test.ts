import { mkdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMIT, etagOf } from '../../support/hubServer.ts';
import { MODEL, noise, tree, useHub } from '../../support/hubFolder.ts';

const { hub: start, folder, open } = useHub();
const root = 'hub/models--owner--tiny-vit';
const etag = (name: string) => etagOf(name, MODEL.files[name] as string);
const NEEDED = ['config.json', 'model.safetensors', 'preprocessor_config.json'];

/** What the cache holds of `MODEL` when it is whole. */
const WHOLE = [
  ...NEEDED.map((name) => `${root}/blobs/${etag(name)}`),
  `${root}/refs/main`,
  ...NEEDED.map((name) => `${root}/snapshots/${COMMIT}/${name}`),
].sort();

test('fetches what a model needs, and no more, into the cache as Python lays it out', async () => {
  const hub = await start();
  const home = await folder();
  const bytes: [number, number][] = [];
  const { folder: snapshot, commit } = await open(hub, home, { onBytes: (...step) => bytes.push(step) });
  expect(commit).toBe(COMMIT);
  expect(snapshot).toBe(join(home, root, 'snapshots', COMMIT));
  expect(await tree(home)).toEqual(WHOLE);
  for (const name of NEEDED) {
    expect(Buffer.from(MODEL.files[name] as string).equals(await readFile(join(snapshot, name)))).toBe(true);
    expect(await readlink(join(snapshot, name))).toBe(join('..', '..', 'blobs', etag(name)));
  }
  expect(await readFile(join(home, root, 'refs/main'), 'utf8')).toBe(COMMIT);
  const total = NEEDED.reduce((sum, name) => sum + Buffer.from(MODEL.files[name] as string).length, 0);
  expect(bytes.at(-1)).toEqual([total, total]);
  expect(bytes.every(([done], i) => done >= (bytes[i - 1]?.[0] ?? 0))).toBe(true);
  expect(hub.requests.map(({ line }) => line).sort()).toEqual([
    'GET /api/models/owner/tiny-vit/revision/main?blobs=true',
    `GET /owner/tiny-vit/resolve/${COMMIT}/config.json`,
    `GET /owner/tiny-vit/resolve/${COMMIT}/model.safetensors`,
    `GET /owner/tiny-vit/resolve/${COMMIT}/preprocessor_config.json`,
    'GET /store/model.safetensors',
  ]);
});

test('asks again for a branch only whether it moved, and nothing for a commit', async () => {
  const hub = await start();
  const home = await folder();
  await open(hub, home);
  hub.requests.length = 0;
  await open(hub, home);
  expect(hub.requests).toHaveLength(1);
  await open(hub, home, { name: `${MODEL.repository}@${COMMIT}` });
  expect(hub.requests).toHaveLength(1);
});

test('keeps a revision with a slash where Python keeps it, and fetches equal blobs once', async () => {
  const hub = await start();
  const home = await folder();
  await open(hub, home);
  await open(hub, home, { name: `${MODEL.repository}@refs/pr/1` });
  expect(await readFile(join(home, root, 'refs/refs/pr/1'), 'utf8')).toBe(COMMIT);
  expect(hub.requests[5]?.line).toBe('GET /api/models/owner/tiny-vit/revision/refs%2Fpr%2F1?blobs=true');
  expect(hub.requests).toHaveLength(6);
});

test('fetches a moved branch beside the old commit, unchanged blobs not again', async () => {
  const home = await folder();
  await open(await start(), home);
  const moved = 'f'.repeat(40);
  const files = { ...MODEL.files, 'config.json': '{"architecture": "vit_tiny", "num_classes": 3}' };
  const hub = await start({ ...MODEL, revisions: { main: moved }, files });
  const { folder: snapshot } = await open(hub, home);
  expect(hub.requests.map(({ line }) => line)).toEqual([
    'GET /api/models/owner/tiny-vit/revision/main?blobs=true',
    `GET /owner/tiny-vit/resolve/${moved}/config.json`,
  ]);
  expect(await readFile(join(snapshot, 'config.json'), 'utf8')).toBe(files['config.json']);
  expect(await readFile(join(home, root, 'snapshots', COMMIT, 'config.json'), 'utf8')).toBe(MODEL.files['config.json']);
});

describe('weights in several files', () => {
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const sharded = (weightMap: unknown) => {
    const files = {
      'config.json': '{}',
      'model.safetensors.index.json': JSON.stringify({ metadata: { total_size: 2 }, weight_map: weightMap }),
      [shards[0] as string]: noise(5000, 2),
      [shards[1] as string]: noise(6000, 3),
    };
    return { ...MODEL, files };
  };

  test('are those that the index names', async () => {
    const hub = await start(sharded({ a: shards[0], b: shards[1], c: shards[0] }));
    const home = await folder();
    const { folder: snapshot } = await open(hub, home);
    expect(await tree(snapshot)).toEqual(['config.json', ...shards, 'model.safetensors.index.json']);
    expect(await tree(join(home, root, '.no_exist'))).toEqual([`${COMMIT}/preprocessor_config.json`]);
    hub.requests.length = 0;
    await open(hub, home, { name: `${MODEL.repository}@${COMMIT}` });
    await open(hub, home, { env: { HF_HUB_OFFLINE: '1' } });
    expect(hub.requests).toEqual([]);
    await writeFile(join(snapshot, 'model.safetensors.index.json'), '{');
    await expect(open(hub, home, { env: { HF_HUB_OFFLINE: '1' } })).rejects.toThrow(
      'model.safetensors.index.json of owner/tiny-vit',
    );
    await open(hub, home);
    await open(hub, home, { env: { HF_HUB_OFFLINE: '1' } });
    await rm(join(snapshot, shards[1] as string));
    await expect(open(hub, home, { env: { HF_HUB_OFFLINE: '1' } })).rejects.toThrow(`${shards[1]} of owner/tiny-vit`);
  });

  test.each([
    ['../../outside.safetensors'],
    ['/etc/outside.safetensors'],
    ['..\\outside.safetensors'],
    ['sub/model.safetensors'],
    ['..'],
    ['pytorch_model.bin'],
    [7],
  ])('are none that would leave the snapshot: %j', async (name) => {
    const hub = await start(sharded({ a: shards[0], b: name }));
    const home = await folder();
    await expect(open(hub, home)).rejects.toThrow(/index\.json: weight_map\.b is .*, wanted /);
    expect((await tree(home)).filter((path) => !path.startsWith(root))).toEqual([]);
    expect(hub.requests.filter(({ line }) => line.includes('outside'))).toEqual([]);
  });

  test('must be there', async () => {
    const hub = await start(sharded({ a: 'model-00003-of-00002.safetensors' }));
    await expect(open(hub, await folder())).rejects.toThrow('has no model-00003-of-00002.safetensors');
    await expect(open(await start(sharded({})), await folder())).rejects.toThrow('weight_map names no file');
  });
});

describe('a cache that Python wrote', () => {
  /** As `hf_hub_download` leaves it, for `main`. */
  const written = async (names: readonly string[]) => {
    const home = await folder();
    const base = join(home, root);
    const snapshot = join(base, 'snapshots', COMMIT);
    await mkdir(join(base, 'blobs'), { recursive: true });
    await mkdir(join(base, 'refs'));
    await mkdir(snapshot, { recursive: true });
    await writeFile(join(base, 'refs/main'), COMMIT);
    for (const name of names) {
      await writeFile(join(base, 'blobs', etag(name)), MODEL.files[name] as string);
      await symlink(join('../../blobs', etag(name)), join(snapshot, name));
    }
    return home;
  };
  const offline = { HF_HUB_OFFLINE: '1' };

  test('is used without the network', async () => {
    const hub = await start();
    const home = await written(NEEDED);
    const notes: string[] = [];
    const found = await open(hub, home, { env: offline, onNote: (text) => notes.push(text) });
    expect(found).toEqual({ folder: join(home, root, 'snapshots', COMMIT), commit: COMMIT });
    expect(notes).toEqual([]);
    expect(hub.requests).toEqual([]);
  });

  test('is used by HF_HUB_CACHE and TRANSFORMERS_OFFLINE, too', async () => {
    const home = await written(NEEDED);
    const env = { HF_HOME: '/none', HF_HUB_CACHE: join(home, 'hub'), TRANSFORMERS_OFFLINE: 'yes' };
    expect((await open({ endpoint: 'http://127.0.0.1:9' }, home, { env })).commit).toBe(COMMIT);
  });

  test('is filled up with what it lacks', async () => {
    const hub = await start();
    const home = await written(['config.json', 'model.safetensors']);
    const notes: string[] = [];
    await open(hub, home, { env: offline, onNote: (text) => notes.push(text) });
    expect(notes).toEqual([expect.stringContaining('preprocessor_config.json was never fetched')]);
    await open(hub, home);
    expect(hub.requests.map(({ line }) => line)).toEqual([
      'GET /api/models/owner/tiny-vit/revision/main?blobs=true',
      `GET /owner/tiny-vit/resolve/${COMMIT}/preprocessor_config.json`,
    ]);
    expect(await tree(home)).toEqual(WHOLE);
  });

  test('is not trusted where a size is wrong', async () => {
    const hub = await start();
    const home = await written(NEEDED);
    await writeFile(join(home, root, 'blobs', etag('model.safetensors')), noise(1000));
    const { folder: snapshot } = await open(hub, home);
    const weights = await readFile(join(snapshot, 'model.safetensors'));
    expect(weights.equals(MODEL.files['model.safetensors'] as Buffer)).toBe(true);
    expect(await tree(home)).toEqual(WHOLE);
  });

  test('serves where the hub cannot be reached, with a note', async () => {
    const home = await written(NEEDED);
    const notes: string[] = [];
    const gone = { endpoint: 'http://127.0.0.1:9' };
    expect((await open(gone, home, { onNote: (text) => notes.push(text) })).commit).toBe(COMMIT);
    expect(notes).toEqual([expect.stringContaining(`Going on with ${COMMIT} from the cache`)]);
    const ill = await start(MODEL, (_request, response) => (response.writeHead(503).end(), true));
    expect((await open(ill, home)).commit).toBe(COMMIT);
    expect(ill.requests).toHaveLength(2); // one try more, and no longer wait
  });

  test('that lacks the weights is no model', async () => {
    const home = await written(['config.json', 'preprocessor_config.json']);
    await expect(open({ endpoint: 'http://hub' }, home, { env: offline })).rejects.toThrow(
      `model.safetensors of owner/tiny-vit@main are not in the cache ${join(home, 'hub')}, and HF_HUB_OFFLINE forbids`,
    );
  });
});

test('without a cache, offline is an error that says what to do', async () => {
  const home = await folder();
  await expect(open({ endpoint: 'http://hub' }, home, { env: { HF_HUB_OFFLINE: 'true' } })).rejects.toThrow(
    `owner/tiny-vit@main is not in the cache ${join(home, 'hub')}, and HF_HUB_OFFLINE forbids to ask http://hub`,
  );
  expect(await tree(home)).toEqual([]);
});

test('without symbolic links a snapshot has hard links', async () => {
  const home = await folder();
  const { folder: snapshot } = await open(await start(), home, { env: { HF_HUB_DISABLE_SYMLINKS: '1' } });
  for (const name of NEEDED) {
    await expect(readlink(join(snapshot, name))).rejects.toThrow('EINVAL');
    expect((await stat(join(snapshot, name))).ino).toBe((await stat(join(home, root, 'blobs', etag(name)))).ino);
  }
});

test('a cache that cannot be written is an OutputError that names it', async () => {
  const home = await folder();
  await writeFile(join(home, 'hub'), 'a file');
  await expect(open(await start(), home)).rejects.toMatchObject({
    name: 'OutputError',
    message: expect.stringMatching(/the cache .*hub cannot be written .* HF_HUB_CACHE/) as string,
  });
});
