import { basename } from 'node:path';
import { expect, test, vi } from 'vitest';
import { tree, useHub } from '../../support/hubFolder.ts';

/** What happens before a folder of blobs is looked through for the first time. */
const before = vi.hoisted(() => ({ look: undefined as (() => Promise<unknown>) | undefined }));

vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof import('node:fs/promises')>();
  const readdir = async (...args: Parameters<typeof fs.readdir>) => {
    const { look } = before;
    if (look && basename(String(args[0])) === 'blobs') {
      before.look = undefined;
      await look();
    }
    return fs.readdir(...args);
  };
  return { ...fs, readdir };
});

const { hub: start, folder, open } = useHub();

test('what another process finished between two looks at a file is not fetched again', async () => {
  const hub = await start();
  const home = await folder();
  let other: string | undefined;
  before.look = async () => (other = (await open(hub, home)).folder);
  const { folder: snapshot } = await open(hub, home);
  expect(other).toBe(snapshot);
  const store = hub.requests.filter(({ line }) => line.includes('/store/'));
  const resolved = hub.requests.filter(({ line }) => line.includes('/resolve/'));
  expect([store.length, resolved.length]).toEqual([1, 3]);
  expect((await tree(home)).filter((path) => path.endsWith('.incomplete'))).toEqual([]);
});
