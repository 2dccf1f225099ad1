import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckpointStore } from '../calibrate/checkpoint.ts';
import { cacheRoot } from './cacheRoot.ts';

/** Folders of runs that nobody came back to are removed after this. */
const KEPT_MS = 7 * 24 * 3600 * 1000;

/**
 * Keeps finished units of a calibration in the user's cache folder (`TWINSHIFT_CACHE`, else `XDG_CACHE_HOME/twinshift`, else
 * `~/.cache/twinshift`), one folder a job, so that the same command goes on where an earlier one was cut off. A cache that
 * cannot be written costs only that: the calibration goes on without it.
 */
export class CheckpointCache implements CheckpointStore {
  readonly #root: string;

  constructor(root: string = cacheRoot()) {
    this.#root = join(root, 'calibrations');
  }

  async read(job: string, unit: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#file(job, unit));
    } catch {
      return undefined;
    }
  }

  async write(job: string, unit: string, bytes: Uint8Array): Promise<void> {
    const file = this.#file(job, unit);
    const partial = `${file}.${process.pid}.partial`;
    try {
      await mkdir(join(this.#root, job), { recursive: true });
      await writeFile(partial, bytes);
      await rename(partial, file);
    } catch {
      await rm(partial, { force: true }).catch(() => undefined);
    }
  }

  /** Removes the units of a job that is done, and jobs that were left long ago. */
  async remove(job: string): Promise<void> {
    await rm(join(this.#root, job), { recursive: true, force: true }).catch(() => undefined);
    for (const name of await readdir(this.#root).catch(() => [])) {
      const folder = join(this.#root, name);
      const age = await stat(folder).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (age > KEPT_MS) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  /** Names become file names of their own, whatever characters they have. */
  #file(job: string, unit: string): string {
    return join(this.#root, job, `${createHash('sha256').update(unit).digest('hex').slice(0, 32)}.safetensors`);
  }
}
