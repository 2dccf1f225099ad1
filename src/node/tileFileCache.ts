import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TileCache } from '../infer/tiles.ts';
import { cacheRoot } from './cacheRoot.ts';

/**
 * Remembers the measured tiles of an adapter in the user's cache folder, one small file a key. A cache that cannot be read or
 * written costs only the trial: it is made again.
 */
export class TileFileCache implements TileCache {
  readonly #folder: string;

  constructor(root: string = cacheRoot()) {
    this.#folder = join(root, 'tiles');
  }

  async get(key: string): Promise<string | undefined> {
    try {
      const [stored, value] = JSON.parse(await readFile(this.#file(key), 'utf8')) as [unknown, unknown];
      return stored === key && typeof value === 'string' ? value : undefined;
    } catch {
      return undefined;
    }
  }

  async set(key: string, value: string): Promise<void> {
    const file = this.#file(key);
    const partial = `${file}.${process.pid}.partial`;
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(partial, JSON.stringify([key, value]));
      await rename(partial, file);
    } catch {
      await rm(partial, { force: true }).catch(() => undefined);
    }
  }

  /** Keys become file names of their own, whatever characters they have. */
  #file(key: string): string {
    return join(this.#folder, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
  }
}
