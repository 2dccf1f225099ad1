import type { HubAccess } from './access.ts';
import { HubError } from './errors.ts';
import type { HubFile, HubRepository } from './repository.ts';
import { ask, type Answer } from './request.ts';
import { Transient, withRetries } from './retry.ts';

/** Where the bytes of a file are kept while they come. */
export interface HubSink {
  /** Bytes kept so far, from the first on; those of an earlier run may be among them. */
  readonly received: number;
  readonly append: (bytes: Uint8Array) => Promise<void>;
  /** Forgets all bytes. */
  readonly restart: () => Promise<void>;
  /** The hash of all bytes, of the kind of the file's `etag`, in hexadecimal digits. */
  readonly digest: () => Promise<string>;
}

/**
 * Fetches what `sink` lacks of a file: a cut is resumed where it happened, silence counts as one, and the whole is held to its size and hash.
 *
 * @param onBytes called with the bytes that are there now
 * @throws HubError when the endpoint gives up, or gives other bytes than it announced; the signal's reason when it is aborted
 */
export async function download(
  access: HubAccess,
  repository: HubRepository,
  file: HubFile,
  sink: HubSink,
  onBytes: (received: number) => void,
): Promise<void> {
  for (let begun = sink.received > 0; ; begun = false) {
    await withRetries(access, (alive) =>
      receive(access, repository, file, sink, () => {
        alive();
        onBytes(sink.received);
      }),
    );
    const seen = await sink.digest();
    if (seen === file.etag) return;
    await sink.restart();
    onBytes(0);
    if (!begun) throw wrong(access, repository, file, `has the hash ${seen} instead of ${file.etag}`);
    // the part of an earlier run may be to blame: once more, all of it
  }
}

async function receive(
  access: HubAccess,
  repository: HubRepository,
  file: HubFile,
  sink: HubSink,
  onPiece: () => void,
): Promise<void> {
  if (sink.received > file.size) await sink.restart();
  if (sink.received === file.size) return;
  const { reference, commit } = repository;
  const path = `/${reference.repository}/resolve/${commit}/${encodeURIComponent(file.path)}`;
  const subject = { reference, file: file.path };
  // compressed pieces cannot be resumed
  const headers = { 'accept-encoding': 'identity', ...(sink.received > 0 ? { range: `bytes=${sink.received}-` } : {}) };
  const answer = await ask(access, path, subject, headers);
  try {
    const total = totalOf(answer);
    if (total !== undefined && total !== file.size) {
      await sink.restart();
      throw wrong(access, repository, file, `has ${total} bytes instead of ${file.size}`);
    }
    if (!continues(answer, sink.received)) {
      await sink.restart();
      requireWhole(answer);
    }
    for await (const piece of answer.pieces()) {
      if (sink.received + piece.length > file.size) {
        await sink.restart();
        throw wrong(access, repository, file, `has more than ${file.size} bytes`);
      }
      await sink.append(piece);
      onPiece();
    }
  } finally {
    answer.close();
  }
  if (sink.received < file.size) {
    throw new Transient(
      `${access.endpoint} ended ${file.path} of ${reference.repository} after ${sink.received} of ${file.size} bytes`,
    );
  }
}

/** Whether the body goes on after `received` bytes. */
function continues({ status, headers }: Answer, received: number): boolean {
  if (status !== 206) return received === 0 && status !== 416;
  return headers.get('content-range')?.startsWith(`bytes ${received}-`) ?? false;
}

/** A body that begins elsewhere is of use only when it is the whole. */
function requireWhole({ status }: Answer): void {
  if (status !== 200) throw new Transient(`an answer of another part than was asked for (HTTP ${status})`);
}

/** Bytes of the whole file by the answer's headers, where they tell. */
function totalOf({ status, headers }: Answer): number | undefined {
  const range = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
  if (range !== undefined) return Number(range);
  const length = headers.get('content-length');
  return status === 200 && length !== null && !headers.has('content-encoding') ? Number(length) : undefined;
}

function wrong({ endpoint }: HubAccess, { reference }: HubRepository, { path }: HubFile, what: string): HubError {
  return new HubError(
    `${path} of ${reference.repository} from ${endpoint} ${what}: it was changed on its way, and nothing of it was kept. ` +
      'Try again, or another network; with a mirror, check HF_ENDPOINT',
  );
}
