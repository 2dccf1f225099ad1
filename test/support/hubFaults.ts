import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MODEL } from './hubFolder.ts';
import type { Fault } from './hubServer.ts';

/** The weights of `MODEL`. */
export const WEIGHTS = Buffer.from(MODEL.files['model.safetensors'] as Uint8Array);

/** Whether the snapshot has the right weights; their bytes are compared at once, which `toEqual` does not. */
export const hasWeights = async ({ folder }: { folder: string }) =>
  WEIGHTS.equals(await readFile(join(folder, 'model.safetensors')));

/** Does `fault` on the requests of a path, the first `times` of them. */
export function on(path: RegExp, fault: Fault, times = Infinity): Fault {
  let left = times;
  return (request, response) => path.test(request.url ?? '') && left-- > 0 && fault(request, response);
}

/** Refuses with a status, or answers with what is no JSON. */
export const answer =
  (status: number, headers: Record<string, string> = {}): Fault =>
  (_request, response) => {
    response.writeHead(status, headers).end('<html>no JSON</html>');
    return true;
  };

/** Sends what is asked for up to a byte of the file, then cuts the connection or falls silent. */
export const cutAt =
  (end: number, how: 'cut' | 'silent' = 'cut'): Fault =>
  (request, response) => {
    const from = Number(/(\d+)-$/.exec(request.headers.range ?? 'bytes=0-')?.[1]);
    const range = `bytes ${from}-${WEIGHTS.length - 1}/${WEIGHTS.length}`;
    const status = request.headers.range === undefined ? 200 : 206;
    response.writeHead(status, { 'content-length': WEIGHTS.length - from, 'content-range': range });
    response.write(WEIGHTS.subarray(from, end), () => {
      if (how === 'cut') setTimeout(() => request.socket.destroy(), 20);
    });
    return true;
  };
