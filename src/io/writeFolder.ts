/** Output that is there whole or not at all (Node): written beside its place, flushed to the disk, then renamed. */
import { mkdir, open, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { OutputError } from './errors.ts';

export interface WriteOptions {
  /** Replace what is there; refused otherwise. */
  readonly force?: boolean;
  /** Stops before the next file or the renaming; nothing is left behind and the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * The folder `out` with exactly these files (keys are paths inside it, with `/`). The old content of `out` stays until
 * the new is complete; on any error nothing half-written remains and the old is as it was.
 *
 * Throws OutputError when `out` is a file, is not empty and `force` is not set, holds the working directory, or cannot be
 * written (its cause is the system's error); RangeError for a path that leaves the folder.
 */
export async function writeFolderAtomically(
  out: string,
  files: ReadonlyMap<string, Uint8Array | string>,
  { force = false, signal }: WriteOptions = {},
): Promise<void> {
  for (const path of files.keys()) {
    const isInside = path.split('/').every((part) => !['', '.', '..'].includes(part) && !/[\\\0]/.test(part));
    if (!isInside) throw new RangeError(`${JSON.stringify(path)} is not a path inside the output folder.`);
  }
  await guarded(out, async () => {
    const target = await finalPlace(out);
    const old = await contentOf(out, target, force);
    const temporary = siblingOf(target, 'partial');
    const created = await mkdir(dirname(target), { recursive: true });
    try {
      await mkdir(temporary);
      const folders = new Set([temporary]);
      for (const [path, content] of files) {
        signal?.throwIfAborted();
        const place = join(temporary, path);
        for (let folder = dirname(place); folder !== temporary; folder = dirname(folder)) folders.add(folder);
        await mkdir(dirname(place), { recursive: true });
        await writeAndFlush(place, content);
      }
      for (const folder of folders) await flush(folder);
      signal?.throwIfAborted();
      await putInPlace(temporary, target, old);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      await removeEmpty(dirname(target), created);
      throw error;
    }
    await flush(dirname(target));
  });
}

/** The file `path` with `content`, replaced in one step; the old one stays until the new is complete. Throws OutputError. */
export async function writeFileAtomically(path: string, content: Uint8Array | string): Promise<void> {
  await guarded(path, async () => {
    const target = await finalPlace(path);
    const temporary = siblingOf(target, 'partial');
    const created = await mkdir(dirname(target), { recursive: true });
    try {
      await writeAndFlush(temporary, content);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      await removeEmpty(dirname(target), created);
      throw error;
    }
    await flush(dirname(target));
  });
}

async function guarded(out: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (cause) {
    const { code = '', errno, message } = cause as NodeJS.ErrnoException;
    if (typeof errno !== 'number') throw cause; // not the system's refusal: ours, the signal's reason or a mistake
    const isFull = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code);
    const advice = isFull ? 'The disk is full or a limit is reached: make room' : 'Check the path and its permissions';
    throw new OutputError(`${out}: cannot be written (${message}). ${advice}; nothing was left behind.`, { cause });
  }
}

/** Removes `folder` and the empty folders above it up to `created`, the first that we made; none when undefined. */
async function removeEmpty(folder: string, created: string | undefined): Promise<void> {
  if (created === undefined) return;
  try {
    for (let path = folder; path.length >= created.length; path = dirname(path)) await rmdir(path);
  } catch {
    // someone else has put something there since: theirs to keep, and the first error is the one to report
  }
}

/** Where the bytes shall lie: through a symbolic link its target, so that the link stays. */
async function finalPlace(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

type Old = 'none' | 'empty' | 'full';

async function contentOf(out: string, target: string, force: boolean): Promise<Old> {
  const found = await stat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return 'none';
  if (!found.isDirectory()) throw new OutputError(`${out}: there is a file of that name. Name another folder.`);
  const fromTarget = relative(target, process.cwd());
  if (fromTarget === '' || (fromTarget !== '..' && !fromTarget.startsWith(`..${sep}`))) {
    throw new OutputError(
      `${out}: the working directory lies in this folder, which would be replaced. Name another folder.`,
    );
  }
  const entries = await readdir(target);
  if (entries.length === 0) return 'empty';
  if (!force) {
    throw new OutputError(
      `${out}: the folder is not empty (${entries.length} entries). Name another, or replace all of it with --force.`,
    );
  }
  return 'full';
}

async function putInPlace(temporary: string, target: string, old: Old): Promise<void> {
  if (old === 'empty') await rmdir(target);
  if (old !== 'full') return rename(temporary, target);
  const aside = siblingOf(target, 'old');
  await rename(target, aside);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(aside, target);
    throw error;
  }
  await rm(aside, { recursive: true, force: true }).catch((cause: unknown) => {
    throw new OutputError(`${target}: written, but its old content could not be removed from ${aside}. Remove it.`, {
      cause,
    });
  });
}

/** A name beside `target`, on the same file system, that no other process takes. */
function siblingOf(target: string, purpose: string): string {
  return join(dirname(target), `.${basename(target)}.${purpose}-${crypto.randomUUID()}`);
}

async function writeAndFlush(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable; systems that cannot open a folder keep them by themselves. */
async function flush(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
