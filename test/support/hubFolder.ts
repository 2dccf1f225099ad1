import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { Patience } from '../../src/io/hub/access.ts';
import { openSnapshot, type Snapshot, type SnapshotControl } from '../../src/node/hub/snapshot.ts';
import { hubSettings, type Environment } from '../../src/node/hub/settings.ts';
import { parseHubReference } from '../../src/io/hub/reference.ts';
import { COMMIT, startHub, type Fault, type HubServer, type ServedRepository } from './hubServer.ts';

/** Short pauses; silence is what tests of silence say, because a busy machine is silent, too. */
export const SHORT: Patience = { retries: 2, pauseMs: 5, longestPauseMs: 2000, silenceMs: 60_000 };

/** Bytes that no compression and no accident repeats. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export const MODEL: ServedRepository = {
  repository: 'owner/tiny-vit',
  revisions: { main: COMMIT, 'refs/pr/1': COMMIT },
  files: {
    'README.md': '# not needed',
    'config.json': '{"architecture": "vit_tiny"}',
    'preprocessor_config.json': '{"do_resize": true}',
    'model.safetensors': noise(300_000),
    'pytorch_model.bin': noise(1000),
  },
};

/** Hubs and folders of a test, gone after it. */
export function useHub() {
  const hubs: HubServer[] = [];
  const folders: string[] = [];
  afterEach(async () => {
    for (const hub of hubs.splice(0)) await hub.stop();
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });
  const folder = async (): Promise<string> => {
    const made = await mkdtemp(join(tmpdir(), 'twinshift-hub-'));
    folders.push(made);
    return made;
  };
  return {
    folder,
    hub: async (served: ServedRepository = MODEL, fault?: Fault): Promise<HubServer> => {
      const hub = await startHub(served, fault);
      hubs.push(hub);
      return hub;
    },
    /** Opens a model of the hub with a cache in `home`. */
    open: async (
      hub: Pick<HubServer, 'endpoint'>,
      home: string,
      { name = MODEL.repository, env = {}, ...control }: SnapshotControl & { name?: string; env?: Environment } = {},
    ): Promise<Snapshot> => {
      const settings = await hubSettings({ HF_ENDPOINT: hub.endpoint, HF_HOME: home, ...env });
      const reference = parseHubReference(name);
      if (!reference) throw new Error(`${name} is no reference`);
      return openSnapshot(reference, settings, { patience: SHORT, ...control });
    },
  };
}

/** Paths of all files and links below a folder, sorted. */
export async function tree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
