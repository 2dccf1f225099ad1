/** The pictures of a folder, in an order that no locale or file system changes (Node). */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from './errors.ts';

const extensions = ['.jpg', '.jpeg', '.png', '.webp'];

export interface ImageList {
  /** Names inside the folder, in byte order of their UTF-8. */
  readonly files: string[];
  /** How many other files lie there; folders are not counted. */
  readonly ignored: number;
}

/**
 * The files of `dir`, not of the folders in it, whose names end in .jpg, .jpeg, .png or .webp in any case.
 *
 * Throws FormatError when `dir` is missing, is no folder, cannot be read or holds no picture.
 */
export async function listImages(dir: string): Promise<ImageList> {
  const names = await readNames(dir);
  const files: string[] = [];
  let ignored = 0;
  for (const name of names) {
    if (!(await isFile(join(dir, name)))) continue;
    if (extensions.some((extension) => name.toLowerCase().endsWith(extension))) files.push(name);
    else ignored++;
  }
  if (files.length === 0) {
    throw new FormatError(
      `${dir}: no image among its ${ignored} files. Put files there that end in ${extensions.join(' ')} (any case).`,
    );
  }
  return { files: files.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))), ignored };
}

async function readNames(dir: string): Promise<string[]> {
  let names: Buffer[];
  try {
    names = await readdir(dir, { encoding: 'buffer' });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT'
        ? 'the folder does not exist'
        : code === 'ENOTDIR'
          ? 'not a folder'
          : `cannot be read (${message})`;
    throw new FormatError(`${dir}: ${reason}. Name a folder of images.`, { cause });
  }
  return names.map((name) => {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(name);
    } catch (cause) {
      throw new FormatError(
        `${dir}: the file name ${JSON.stringify(name.toString('latin1'))} is not UTF-8. Rename it.`,
        {
          cause,
        },
      );
    }
  });
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false; // a link to nothing
    throw new FormatError(`${path}: cannot be read (${(cause as Error).message}).`, { cause });
  }
}
