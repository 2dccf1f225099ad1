import { readFile, stat } from 'node:fs/promises';
import { InputError, readError } from './errors.ts';

/**
 * The bytes of a file.
 *
 * @throws InputError naming `path` when it does not exist, is a folder or may not be read
 */
export async function readInputFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw readError(path, error);
  }
}

/** The text of a UTF-8 file, without a byte order mark. Throws as `readInputFile`. */
export async function readInputText(path: string): Promise<string> {
  return new TextDecoder('utf-8').decode(await readInputFile(path));
}

/** Throws InputError unless `path` is a folder; `what` says whose. */
export async function requireFolder(path: string, what: string): Promise<void> {
  if (!(await isFolder(path, what))) throw new InputError(`${what} ${path} is a file, not a folder`);
}

/** Whether `path`, which must exist, is a folder; `what` names it in the InputError that anything missing gives. */
export async function isFolder(path: string, what: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw readError(`${what} ${path}`, error);
  }
}

/** Whether something is at `path`. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
