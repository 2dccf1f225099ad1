/** Files of the hub in a page: in its memory, and in the Cache API for the next time. */
import { sha256 } from '../sha256.ts';
import type { HubSink } from './download.ts';
import { HubError } from './errors.ts';
import type { HubFile } from './repository.ts';

/** The cache of a page's origin; `caches.delete` frees it. */
const CACHE = 'twinshift-hub';
/** Files are kept in pieces, so that what came before a page was left is there the next time. */
const PIECE_BYTES = 2 ** 20;

/** What a page keeps by address. */
export interface PageCache {
  readonly read: (address: string) => Promise<Uint8Array | undefined>;
  readonly write: (address: string, bytes: Uint8Array) => Promise<void>;
  readonly remove: (address: string) => Promise<void>;
}

/** Keeps nothing. */
export const NO_CACHE: PageCache = {
  read: () => Promise.resolve(undefined),
  write: () => Promise.resolve(),
  remove: () => Promise.resolve(),
};

/** The cache of this page; where there is none or no more room, work goes on without, and `onNote` is told once. */
export async function openPageCache(onNote: (text: string) => void): Promise<PageCache> {
  const without = (error: unknown): undefined => {
    if (!isTold) onNote(`files of the hub are not kept for the next time: ${String(error)}`);
    isTold = true;
  };
  let isTold = false;
  if (typeof caches === 'undefined') {
    without('this page has no Cache API; serve it by HTTPS or from localhost');
    return NO_CACHE;
  }
  const cache = await caches.open(CACHE).catch(without);
  if (!cache) return NO_CACHE;
  return {
    async read(address) {
      const found = await cache.match(address).catch(without);
      return found && new Uint8Array(await found.arrayBuffer());
    },
    async write(address, bytes) {
      if (!isTold) await cache.put(address, new Response(bytes as Uint8Array<ArrayBuffer>)).catch(without);
    },
    async remove(address) {
      await cache.delete(address).catch(without);
    },
  };
}

export interface PageFile extends HubSink {
  /** All of the file; what has not come yet is zero. */
  readonly bytes: Uint8Array;
}

/**
 * A file as far as the cache has it.
 *
 * @param address what its pieces are kept under
 * @throws HubError when a page cannot hold so many bytes
 */
export async function openPageFile(cache: PageCache, address: string, file: HubFile): Promise<PageFile> {
  const bytes = allocate(file);
  const pieces = Math.ceil(file.size / PIECE_BYTES);
  const place = (piece: number) => `${address}/${piece}`;
  let kept = 0;
  let received = 0;
  while (kept < pieces) {
    const piece = await cache.read(place(kept));
    if (piece?.length !== Math.min(PIECE_BYTES, file.size - received)) break;
    bytes.set(piece, received);
    received += piece.length;
    kept++;
  }
  return {
    bytes,
    get received() {
      return received;
    },
    async append(more) {
      bytes.set(more, received);
      received += more.length;
      for (; kept < pieces; kept++) {
        const end = Math.min(file.size, (kept + 1) * PIECE_BYTES);
        if (received < end) break;
        await cache.write(place(kept), bytes.subarray(kept * PIECE_BYTES, end));
      }
    },
    async restart() {
      for (let piece = 0; piece < kept; piece++) await cache.remove(place(piece));
      kept = 0;
      received = 0;
    },
    digest: () => (file.etag.length === 40 ? gitSha1(bytes) : sha256(bytes)),
  };
}

function allocate({ path, size }: HubFile): Uint8Array {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new HubError(`${path} has ${size} bytes, more than a page can hold`, { cause });
  }
}

/** The name that git gives to a file of these bytes. */
async function gitSha1(bytes: Uint8Array): Promise<string> {
  const header = new TextEncoder().encode(`blob ${bytes.length}\0`);
  const all = new Uint8Array(header.length + bytes.length);
  all.set(header);
  all.set(bytes, header.length);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', all));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
