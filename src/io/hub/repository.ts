import { parseJson } from '../parseJson.ts';
import type { HubAccess } from './access.ts';
import { HubError } from './errors.ts';
import { isCommit, type HubReference } from './reference.ts';
import { ask } from './request.ts';
import { withRetries } from './retry.ts';

/** One file of a repository. */
export interface HubFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What its bytes must give: 64 digits are their SHA-256 (large files), 40 the SHA-1 that git gives them. */
  readonly etag: string;
}

/** The files of a repository at one commit. */
export interface HubRepository {
  readonly reference: HubReference;
  /** 40 hexadecimal digits. */
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
}

/** Of the list of files; the longest of real repositories are a hundredth of it. */
const LONGEST_LIST = 64 * 2 ** 20;

/**
 * The text in which the hub lists the files of a revision with sizes and hashes, for `readRepository`.
 *
 * @throws HubError when there is no such repository or revision, it may not be read, or the endpoint cannot be reached
 */
export async function fetchRepository(access: HubAccess, reference: HubReference): Promise<string> {
  const { repository, revision } = reference;
  const path = `/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`;
  return withRetries(access, async () => {
    const answer = await ask(access, path, { reference });
    const decoder = new TextDecoder();
    let text = '';
    for await (const piece of answer.pieces()) {
      text += decoder.decode(piece, { stream: true });
      if (text.length > LONGEST_LIST) throw notAHub(access, reference, 'an endless list of files');
    }
    return text + decoder.decode();
  });
}

/**
 * Reads that text.
 *
 * @throws HubError unless it lists the files as a Hugging Face hub does
 */
export function readRepository(access: HubAccess, reference: HubReference, text: string): HubRepository {
  let value: unknown;
  try {
    value = parseJson(text, access.endpoint);
  } catch (cause) {
    throw notAHub(access, reference, 'no JSON', { cause });
  }
  const { sha, siblings } = (value ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== 'string' || !isCommit(sha)) throw notAHub(access, reference, 'no commit');
  if (!Array.isArray(siblings)) throw notAHub(access, reference, 'no list of files');
  const files = new Map<string, HubFile>();
  for (const entry of siblings as readonly unknown[]) {
    const file = readFile(entry);
    if (!file) throw notAHub(access, reference, 'a file without size and hash');
    files.set(file.path, file);
  }
  return { reference, commit: sha, files };
}

function readFile(entry: unknown): HubFile | undefined {
  const { rfilename, size, blobId, lfs } = (entry ?? {}) as Record<string, unknown>;
  const large = lfs as { sha256?: unknown; size?: unknown } | null | undefined;
  const bytes = large ? large.size : size;
  const etag = large ? large.sha256 : blobId;
  if (typeof rfilename !== 'string' || typeof bytes !== 'number' || typeof etag !== 'string') return undefined;
  if (!Number.isSafeInteger(bytes) || bytes < 0) return undefined;
  if (!(large ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(etag)) return undefined;
  return { path: rfilename, size: bytes, etag };
}

function notAHub(
  { endpoint }: HubAccess,
  { repository }: HubReference,
  what: string,
  options?: ErrorOptions,
): HubError {
  return new HubError(
    `${endpoint} answered for ${repository} with ${what}, so it is no Hugging Face hub; check HF_ENDPOINT and your proxy`,
    options,
  );
}
