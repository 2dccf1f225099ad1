import { copyFile, link, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isCommit, type HubReference } from '../../io/hub/reference.ts';
import { CONFIG_FILE, INDEX_FILE, PROCESSOR_FILE, shardNames, WEIGHTS_FILE } from '../../model/modelFiles.ts';

/** The folder of one repository in the cache of Hugging Face: `blobs/<etag>`, `refs/<revision>`, `snapshots/<commit>/<file>`. */
export function repositoryFolder(cache: string, { repository }: HubReference): string {
  return join(cache, `models--${repository.replaceAll('/', '--')}`);
}

export function snapshotFolder(folder: string, commit: string): string {
  return join(folder, 'snapshots', commit);
}

export function blobPath(folder: string, etag: string): string {
  return join(folder, 'blobs', etag);
}

/** The commit that a revision was when it was last fetched. */
export async function cachedCommit(folder: string, { revision }: HubReference): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const text = await readFile(join(folder, 'refs', ...revision.split('/')), 'utf8').catch(() => '');
  return isCommit(text.trim()) ? text.trim() : undefined;
}

/** Remembers the commit of a branch or tag. */
export async function rememberCommit(folder: string, reference: HubReference, commit: string): Promise<void> {
  if (reference.revision === commit || (await cachedCommit(folder, reference)) === commit) return;
  await inPlace(join(folder, 'refs', ...reference.revision.split('/')), (path) => writeFile(path, commit));
}

/** Remembers that a commit has no file of this name, as Python does. */
export async function rememberAbsence(folder: string, commit: string, name: string): Promise<void> {
  const path = join(folder, '.no_exist', commit, name);
  if ((await sizeOf(path)) === undefined) await inPlace(path, (temporary) => writeFile(temporary, ''));
}

/** Names of what a cached snapshot lacks of a model; empty when it is whole. */
export async function missingFiles(folder: string, commit: string): Promise<string[]> {
  const snapshot = snapshotFolder(folder, commit);
  const has = async (name: string) => (await sizeOf(join(snapshot, name))) !== undefined;
  const missing: string[] = [];
  if (!(await has(CONFIG_FILE))) missing.push(CONFIG_FILE);
  if (!(await has(PROCESSOR_FILE)) && (await sizeOf(join(folder, '.no_exist', commit, PROCESSOR_FILE))) === undefined) {
    missing.push(PROCESSOR_FILE);
  }
  if (await has(WEIGHTS_FILE)) return missing;
  if (!(await has(INDEX_FILE))) return [...missing, WEIGHTS_FILE];
  try {
    const names = shardNames(await readFile(join(snapshot, INDEX_FILE), 'utf8'), INDEX_FILE);
    for (const name of names) if (!(await has(name))) missing.push(name);
  } catch {
    missing.push(INDEX_FILE); // damaged: to be fetched again
  }
  return missing;
}

/** Ways to give a file a second name, the best first: a symbolic link, a hard link where those are not allowed, or a copy. */
type Way = (target: string, path: string) => Promise<void>;
const symbolic: Way = (target, path) => symlink(relative(dirname(path), target), path, 'file');
export const WAYS: readonly Way[] = [symbolic, link, copyFile];

/** Puts a blob under its name into a snapshot, in place of what was there. */
export async function pointTo(blob: string, pointer: string, ways: readonly Way[] = WAYS): Promise<void> {
  await inPlace(pointer, async (path) => {
    for (const [index, way] of ways.entries()) {
      try {
        return await way(blob, path);
      } catch (error) {
        if (index === ways.length - 1) throw error;
      }
    }
  });
}

/** Bytes of what a path leads to; undefined when that is no file. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
}

/** What `make` makes at a temporary path, renamed to `path` when it is whole. */
async function inPlace(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await make(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
