import type { HubAccess, Patience } from '../io/hub/access.ts';
import { download } from '../io/hub/download.ts';
import { HubError } from '../io/hub/errors.ts';
import { NO_CACHE, openPageCache, openPageFile, type PageCache } from '../io/hub/pageFile.ts';
import { inParallel } from '../io/hub/parallel.ts';
import { isCommit, parseHubReference, type HubReference } from '../io/hub/reference.ts';
import { fetchRepository, readRepository, type HubFile, type HubRepository } from '../io/hub/repository.ts';
import { neededFiles, shardFiles } from './hubFiles.ts';
import type { Model } from './load.ts';
import { INDEX_FILE, loadModelFiles, shardNames } from './modelFiles.ts';

export interface FetchModelOptions {
  /** Address of the hub; `https://huggingface.co` unless given. */
  readonly endpoint?: string;
  /** For private and gated models; sent to the endpoint alone. */
  readonly token?: string;
  /** False keeps nothing for the next time. */
  readonly cache?: boolean;
  /** Bytes that are there, of those of all files. */
  readonly onBytes?: (done: number, total: number) => void;
  /** Something that a person should know; the work goes on. */
  readonly onNote?: (text: string) => void;
  /** Ends it with the signal's reason; what came is kept in the cache. */
  readonly signal?: AbortSignal;
  /** When to give up; four tries more after a failure, unless given. */
  readonly patience?: Partial<Patience>;
}

/** A model of the hub. */
export interface FetchedModel extends HubReference {
  readonly model: Model;
  /** The commit that the revision is. */
  readonly commit: string;
}

/**
 * Fetches a float model of the Hugging Face hub, with the Cache API of the page for a cache, and reads it.
 *
 * @param name `owner/name` or `owner/name@revision`
 * @throws HubError naming repository, file and endpoint when it cannot be had
 * @throws FormatError what `loadModel` refuses
 */
export async function fetchModel(name: string, options: FetchModelOptions = {}): Promise<FetchedModel> {
  const { endpoint = 'https://huggingface.co', token, signal, patience, onNote = () => undefined } = options;
  const reference = parseHubReference(name);
  if (!reference)
    throw new HubError(`${JSON.stringify(name)} is no model of a hub: give owner/name or owner/name@revision`);
  const access = { endpoint: endpoint.replace(/\/+$/, ''), token, signal, patience };
  const cache = options.cache === false ? NO_CACHE : await openPageCache(onNote);
  const base = `${access.endpoint}/${reference.repository}/twinshift`;
  const repository = await listFiles(
    access,
    reference,
    cache,
    `${base}/${encodeURIComponent(reference.revision)}`,
    onNote,
  );
  const contents = new Map<string, Uint8Array>();
  const fetchAll = async (files: readonly HubFile[], onBytes?: FetchModelOptions['onBytes']) => {
    const done = new Map<HubFile, number>();
    const total = files.reduce((sum, { size }) => sum + size, 0);
    await inParallel(files, signal, async (file, ownSignal) => {
      const report = (bytes: number) => {
        done.set(file, bytes);
        onBytes?.(
          [...done.values()].reduce((a, b) => a + b, 0),
          total,
        );
      };
      const sink = await openPageFile(cache, `${base}/blobs/${file.etag}`, file);
      report(sink.received);
      await download({ ...access, signal: ownSignal }, repository, file, sink, report);
      contents.set(file.path, sink.bytes);
    });
  };
  const read = (file: string) => Promise.resolve(contents.get(file) as Uint8Array);
  const { files, index } = neededFiles(repository, access.endpoint);
  const all = [...files];
  if (index) {
    await fetchAll([index]);
    const text = new TextDecoder().decode(await read(INDEX_FILE));
    all.push(...shardFiles(repository, shardNames(text, INDEX_FILE), access.endpoint));
  }
  await fetchAll(all, options.onBytes);
  const path = (file: string) => `${file} of ${reference.repository}`;
  const model = await loadModelFiles({ names: new Set(contents.keys()), read, path });
  return { ...reference, commit: repository.commit, model };
}

/** The files of the repository, by the cache where the hub cannot be reached or need not be asked. */
async function listFiles(
  access: HubAccess,
  reference: HubReference,
  cache: PageCache,
  address: string,
  onNote: (text: string) => void,
): Promise<HubRepository> {
  const kept = await cache.read(address);
  const cached = kept && new TextDecoder().decode(kept);
  if (cached !== undefined && isCommit(reference.revision)) return readRepository(access, reference, cached);
  try {
    const text = await fetchRepository(access, reference);
    const repository = readRepository(access, reference, text);
    await cache.write(address, new TextEncoder().encode(text));
    return repository;
  } catch (error) {
    if (!(error instanceof HubError && error.unreachable) || cached === undefined) throw error;
    onNote(`${error.message} Going on with what this page kept.`);
    return readRepository(access, reference, cached);
  }
}
