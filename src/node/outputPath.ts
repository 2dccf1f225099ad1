import { access, constants, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { OutputError } from '../io/errors.ts';
import { InputError } from './errors.ts';
import { exists } from './inputFile.ts';

/**
 * Throws unless what is there of the way to the output `target` are folders, and the last of them writable: known now, not after
 * the work.
 *
 * @param out as it was given, for messages
 * @throws InputError when a part of the path is a file
 * @throws OutputError when the folder that it would lie in may not be written to
 */
export async function requireWritable(out: string, target: string): Promise<void> {
  let parent = dirname(target);
  while (!(await exists(parent)) && dirname(parent) !== parent) parent = dirname(parent);
  if (!(await stat(parent)).isDirectory()) throw new InputError(`--out ${out}: ${parent} is a file, not a folder`);
  try {
    await access(parent, constants.W_OK);
  } catch (cause) {
    throw new OutputError(`--out ${out}: ${parent} may not be written to (${(cause as Error).message})`, { cause });
  }
}

/** The path with the links of its existing part followed. */
export async function realTarget(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(await realTarget(parent), basename(absolute));
  }
}

/** Whether `path` is `folder` or lies in it. */
export async function isWithin(path: string, folder: string): Promise<boolean> {
  const way = relative(folder, await realTarget(path));
  return way === '' || !(way.startsWith('..') || isAbsolute(way));
}
