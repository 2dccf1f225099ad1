import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A repository as `startHub` serves it; each revision leads to the same files. */
export interface ServedRepository {
  readonly repository: string;
  readonly revisions: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, Uint8Array | string>>;
}

/** Answers a request in place of the server and says so, or lets the server. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface HubServer {
  readonly endpoint: string;
  /** The other origin, which large files are redirected to. */
  readonly store: string;
  /** Requests so far: method, path with its query, headers. */
  readonly requests: { readonly line: string; readonly headers: IncomingMessage['headers'] }[];
  readonly stop: () => Promise<void>;
}

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

export function digest(kind: 'sha256' | 'sha1', bytes: Uint8Array | string): string {
  return createHash(kind).update(bytes).digest('hex');
}

/** The name of a blob: SHA-256 of a large file, git's SHA-1 of a small one. */
export function etagOf(name: string, content: Uint8Array | string): string {
  const bytes = Buffer.from(content);
  if (isLarge(name)) return digest('sha256', bytes);
  return digest('sha1', Buffer.concat([Buffer.from(`blob ${bytes.length}\0`), bytes]));
}

export function isLarge(name: string): boolean {
  return name.endsWith('.safetensors');
}

/** What the hub's list says of the files. */
export function listOf({ files }: ServedRepository, commit: string): object {
  const siblings = Object.entries(files).map(([rfilename, content]) => {
    const size = Buffer.from(content).length;
    const lfs = { sha256: etagOf(rfilename, content), size, pointerSize: 134 };
    return { rfilename, size, blobId: etagOf('pointer', content), ...(isLarge(rfilename) ? { lfs } : {}) };
  });
  return { id: 'x', sha: commit, siblings };
}

/** A hub on the loopback address, with the answers that the real one gives; `fault` comes before it. */
export async function startHub(served: ServedRepository, fault: Fault = () => false): Promise<HubServer> {
  const requests: HubServer['requests'] = [];
  const record = (request: IncomingMessage, response: ServerResponse): boolean => {
    requests.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-expose-headers', 'X-Error-Code, X-Error-Message, Content-Range');
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { 'access-control-allow-headers': 'authorization, range' }).end();
      return true;
    }
    return fault(request, response);
  };
  const store = await listen((request, response) => {
    if (record(request, response)) return;
    const content = served.files[decodeURIComponent((request.url ?? '').slice('/store/'.length))];
    if (content === undefined) response.writeHead(404).end();
    else sendPart(request, response, Buffer.from(content));
  });
  const hub = await listen((request, response) => {
    if (record(request, response)) return;
    const path = new URL(request.url ?? '/', 'http://hub').pathname;
    const [, list, revision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/([^/]+)$/.exec(path) ?? [];
    const [, resolved, at, name] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
    if ((list ?? resolved) !== served.repository) return refuse(response, 401, 'RepoNotFound', 'Repository not found');
    const asked = decodeURIComponent(revision ?? at ?? '');
    const commit = Object.values(served.revisions).includes(asked) ? asked : served.revisions[asked];
    if (commit === undefined) return refuse(response, 404, 'RevisionNotFound', 'Invalid rev id');
    if (list !== undefined) return void response.end(JSON.stringify(listOf(served, commit)));
    const file = decodeURIComponent(name ?? '');
    const content = served.files[file];
    if (content === undefined) return refuse(response, 404, 'EntryNotFound', 'Entry not found');
    if (!isLarge(file)) return sendPart(request, response, Buffer.from(content));
    response.writeHead(302, { location: `${addressOf(store)}/store/${encodeURIComponent(file)}` }).end();
  });
  return {
    endpoint: addressOf(hub),
    store: addressOf(store),
    requests,
    async stop() {
      for (const server of [hub, store]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'x-error-code': code, 'x-error-message': message }).end();
}

/** The bytes that are asked for, by the `Range` of the request. */
export function sendPart(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (request.headers.range === undefined) {
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  } else if (from >= bytes.length) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  } else {
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    response
      .writeHead(206, { 'content-range': range, 'content-length': bytes.length - from })
      .end(bytes.subarray(from));
  }
}

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
