import { createHash, randomUUID, type Hash } from 'node:crypto';
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { HubSink } from '../../io/hub/download.ts';
import type { HubFile } from '../../io/hub/repository.ts';

/** A part that nothing was added to for so long is nobody's, whatever process has its number now. */
const ABANDONED_MS = 60_000;
const READ_BYTES = 2 ** 20;

/** Parts that this process is writing. */
const own = new Set<string>();

/** A part of a blob, with the machine and process that write or wrote it in its name. */
interface Part {
  readonly path: string;
  readonly size: number;
  /** Whether its writer is still at it. */
  readonly isWritten: boolean;
}

/** A blob that is being fetched: `<etag>.<machine>-<process>-<random>.incomplete` beside its final place. */
export interface PartialFile extends HubSink {
  /** Whether no other living process began the same before, or at the same time under a name that comes first. */
  readonly isFirst: () => Promise<boolean>;
  /** Gives the file its final name; false when another process took the file over, because nothing came for long. */
  readonly finish: () => Promise<boolean>;
  /** Closes it; what came is kept for the next run. */
  readonly close: () => Promise<void>;
}

/** Bytes that a living process has of the blob by now; undefined when none is at it. */
export async function bytesElsewhere(blob: string): Promise<number | undefined> {
  const written = (await partsOf(blob)).filter(({ isWritten }) => isWritten);
  return written.length === 0 ? undefined : Math.max(...written.map(({ size }) => size));
}

/** Goes on with what an earlier process left of a blob, or begins it. */
export async function openPartialFile(blob: string, file: HubFile): Promise<PartialFile> {
  const path = `${blob}.${machine()}-${process.pid}-${randomUUID().slice(0, 8)}.incomplete`;
  own.add(basename(path));
  let handle: FileHandle;
  try {
    for (const part of (await partsOf(blob)).filter(({ isWritten }) => !isWritten)) {
      // of several processes that want to go on with it, one can rename it; parts beyond the longest are of no use
      if ((await size(path)) === undefined) await rename(part.path, path).catch(() => undefined);
      else await rm(part.path, { force: true });
    }
    handle = await open(path, (await size(path)) === undefined ? 'wx+' : 'r+');
  } catch (error) {
    own.delete(basename(path));
    throw error;
  }
  const newHash = () => {
    const isGit = file.etag.length === 40;
    return isGit ? createHash('sha1').update(`blob ${file.size}\0`) : createHash('sha256');
  };
  let hash = newHash();
  let received = await hashFile(handle, hash);
  const now = new Date();
  await handle.utimes(now, now); // taken over: somebody is at it
  return {
    get received() {
      return received;
    },
    async append(bytes) {
      for (let at = 0; at < bytes.length;) {
        at += (await handle.write(bytes, at, bytes.length - at, received + at)).bytesWritten;
      }
      hash.update(bytes);
      received += bytes.length;
    },
    async restart() {
      await handle.truncate(0);
      hash = newHash();
      received = 0;
    },
    digest: () => Promise.resolve(hash.copy().digest('hex')),
    async isFirst() {
      return (await partsOf(blob)).every((part) => !part.isWritten || part.path >= path);
    },
    async finish() {
      await handle.sync();
      return rename(path, blob).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return false;
          throw error;
        },
      );
    },
    async close() {
      await handle.close();
      if (received === 0) await rm(path, { force: true });
      own.delete(basename(path));
    },
  };
}

async function hashFile(handle: FileHandle, hash: Hash): Promise<number> {
  const buffer = Buffer.alloc(READ_BYTES);
  for (let position = 0; ;) {
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, position);
    if (bytesRead === 0) return position;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}

/** Parts of a blob that this program wrote, the longest first. Those of Python have other names and are left alone. */
async function partsOf(blob: string): Promise<Part[]> {
  const parts: Part[] = [];
  for (const name of await readdir(dirname(blob)).catch(() => [])) {
    const [, host, id] = /^\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.incomplete$/.exec(after(name, basename(blob))) ?? [];
    if (host === undefined || id === undefined) continue;
    const path = join(dirname(blob), name);
    const found = await stat(path).catch(() => undefined);
    if (!found) continue;
    const isOfOther = host !== machine() || Number(id) !== process.pid;
    const mayRun = host !== machine() || isRunning(Number(id));
    const isWritten = isOfOther ? mayRun && Date.now() - found.mtimeMs < ABANDONED_MS : own.has(name);
    parts.push({ path, size: found.size, isWritten });
  }
  return parts.sort((a, b) => b.size - a.size);
}

function after(text: string, beginning: string): string {
  return text.startsWith(beginning) ? text.slice(beginning.length) : '';
}

/** Machines that share a cache differ in it. */
function machine(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
}

function isRunning(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function size(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => found.size,
    () => undefined,
  );
}
