import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

/** The built page; benches are run from the root of a checkout. */
const FOLDER = 'dist/demo';

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

export interface ServedPage {
  readonly address: string;
  readonly close: () => Promise<void>;
}

/**
 * Serves the built page on a port of the loopback address, gzipped as static hosts do.
 *
 * @param onSent told of each file that was asked for: its path in the folder and the bytes of its body
 */
export async function servePage(onSent: (file: string, bytes: number) => void): Promise<ServedPage> {
  if (!existsSync(path.join(FOLDER, 'index.html'))) throw new Error('the page is not built: npm run build');
  const server = createServer((request, response) => {
    const name = path.posix.normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    const file = name === '/' ? 'index.html' : name.slice(1);
    readFile(path.join(FOLDER, file)).then(
      (content) => {
        const body = gzipSync(content);
        onSent(file, body.byteLength);
        const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
        response.writeHead(200, { 'content-type': type, 'content-encoding': 'gzip' }).end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const address = `http://localhost:${(server.address() as AddressInfo).port}/`;
  return { address, close: () => new Promise((resolve) => server.close(() => resolve())) };
}
