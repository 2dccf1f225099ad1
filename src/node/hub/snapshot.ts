import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OutputError } from '../../io/errors.ts';
import type { HubAccess, Patience } from '../../io/hub/access.ts';
import { download } from '../../io/hub/download.ts';
import { HubError } from '../../io/hub/errors.ts';
import { inParallel } from '../../io/hub/parallel.ts';
import { isCommit, type HubReference } from '../../io/hub/reference.ts';
import { fetchRepository, readRepository, type HubFile, type HubRepository } from '../../io/hub/repository.ts';
import { sleep } from '../../io/hub/retry.ts';
import { neededFiles, shardFiles } from '../../model/hubFiles.ts';
import { INDEX_FILE, PROCESSOR_FILE, shardNames } from '../../model/modelFiles.ts';
import {
  blobPath,
  cachedCommit,
  missingFiles,
  pointTo,
  rememberAbsence,
  rememberCommit,
  repositoryFolder,
  sizeOf,
  snapshotFolder,
  WAYS,
} from './cacheFolder.ts';
import { bytesElsewhere, openPartialFile } from './partialFile.ts';
import type { HubSettings } from './settings.ts';

const LOOK_AGAIN_MS = 100;

export interface SnapshotControl {
  /** Bytes of the files that are fetched, of all of them. */
  readonly onBytes?: ((done: number, total: number) => void) | undefined;
  /** Something that a person should know; the run goes on. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly patience?: Partial<Patience> | undefined;
}

/** A model in the cache. */
export interface Snapshot {
  /** With `config.json` and the weights. */
  readonly folder: string;
  readonly commit: string;
}

/**
 * The folder of a model of the hub: of the cache where it is there whole, fetched into it where not.
 *
 * @throws HubError naming repository, file and endpoint when it cannot be had
 * @throws OutputError when the cache cannot be written
 */
export async function openSnapshot(
  reference: HubReference,
  settings: HubSettings,
  control: SnapshotControl = {},
): Promise<Snapshot> {
  const { endpoint, token } = settings;
  const access = { endpoint, token, signal: control.signal, patience: control.patience };
  const folder = repositoryFolder(settings.cache, reference);
  const { repository, revision } = reference;
  const cached = await cachedCommit(folder, reference);
  const missing = cached === undefined ? [] : await missingFiles(folder, cached);
  const usable =
    cached !== undefined && missing.every((name) => name === PROCESSOR_FILE)
      ? { folder: snapshotFolder(folder, cached), commit: cached }
      : undefined;
  const useCached = (snapshot: Snapshot): Snapshot => {
    if (missing.length > 0) {
      control.onNote?.(`${repository}: ${PROCESSOR_FILE} was never fetched; should the model have one, it is not read`);
    }
    return snapshot;
  };
  if (settings.offline) {
    if (usable) return useCached(usable);
    const what =
      cached === undefined ? `${repository}@${revision} is` : `${missing.join(', ')} of ${repository}@${revision} are`;
    throw new HubError(
      `${what} not in the cache ${settings.cache}, and HF_HUB_OFFLINE forbids to ask ${endpoint}; unset it once, or set HF_HOME`,
    );
  }
  if (usable && missing.length === 0 && isCommit(revision)) return usable;
  let list: string;
  try {
    // with a model at hand, nobody waits for a hub that does not answer
    const patience = usable ? { ...access.patience, retries: 1 } : access.patience;
    list = await fetchRepository({ ...access, patience }, reference);
  } catch (error) {
    if (!(error instanceof HubError && error.unreachable && usable)) throw error;
    control.onNote?.(`${error.message} Going on with ${usable.commit} from the cache.`);
    return useCached(usable);
  }
  const found = readRepository(access, reference, list);
  try {
    return await fill(found, folder, settings, access, control);
  } catch (cause) {
    const { errno, message } = cause as NodeJS.ErrnoException;
    if (typeof errno !== 'number') throw cause;
    throw new OutputError(
      `the cache ${settings.cache} cannot be written (${message}); make room or name another folder with HF_HUB_CACHE`,
      { cause },
    );
  }
}

/** Fetches what the snapshot lacks. */
async function fill(
  repository: HubRepository,
  folder: string,
  { endpoint, symlinks }: HubSettings,
  access: HubAccess,
  control: SnapshotControl,
): Promise<Snapshot> {
  const { reference, commit } = repository;
  const snapshot = snapshotFolder(folder, commit);
  const { files, index } = neededFiles(repository, endpoint);
  const all = [...files];
  const fetchAll = async (wanted: readonly HubFile[], report?: SnapshotControl['onBytes']) => {
    const lacking = [];
    for (const file of wanted) if ((await sizeOf(join(snapshot, file.path))) !== file.size) lacking.push(file);
    // files of equal bytes are one blob
    const blobs = [...new Map(lacking.map((file) => [file.etag, file])).values()];
    const done = new Map<HubFile, number>();
    const total = blobs.reduce((sum, { size }) => sum + size, 0);
    const sum = () => [...done.values()].reduce((a, b) => a + b, 0);
    await inParallel(blobs, control.signal, (file, signal) =>
      fetchBlob({ ...access, signal }, repository, file, blobPath(folder, file.etag), (bytes) => {
        done.set(file, bytes);
        report?.(sum(), total);
      }),
    );
    const ways = symlinks ? WAYS : WAYS.slice(1);
    for (const file of lacking) await pointTo(blobPath(folder, file.etag), join(snapshot, file.path), ways);
  };
  if (index) {
    await fetchAll([index]);
    const path = join(snapshot, INDEX_FILE);
    all.push(...shardFiles(repository, shardNames(await readFile(path, 'utf8'), path), endpoint));
  }
  await fetchAll(all, control.onBytes);
  const remembered = [rememberCommit(folder, reference, commit)];
  if (!repository.files.has(PROCESSOR_FILE)) remembered.push(rememberAbsence(folder, commit, PROCESSOR_FILE));
  // a cache that is whole may be read-only
  for (const each of remembered) await each.catch(() => undefined);
  return { folder: snapshot, commit };
}

/** Fetches one blob, unless it is there; waits while another process does. */
async function fetchBlob(
  access: HubAccess,
  repository: HubRepository,
  file: HubFile,
  blob: string,
  onBytes: (received: number) => void,
): Promise<void> {
  await mkdir(dirname(blob), { recursive: true });
  for (;;) {
    if ((await sizeOf(blob)) === file.size) return onBytes(file.size);
    const elsewhere = await bytesElsewhere(blob);
    if (elsewhere === undefined) {
      const partial = await openPartialFile(blob, file);
      try {
        const isFirst = await partial.isFirst();
        if ((await sizeOf(blob)) === file.size) {
          // the other process ended between the two looks: what was found of it is of no use
          await partial.restart();
          return onBytes(file.size);
        }
        if (isFirst) {
          onBytes(partial.received);
          await download(access, repository, file, partial, onBytes);
          if (await partial.finish()) return;
        }
      } finally {
        await partial.close();
      }
    } else {
      onBytes(elsewhere);
    }
    await sleep(LOOK_AGAIN_MS, access.signal);
  }
}
