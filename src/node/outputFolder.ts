import { access, constants, readdir, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, relative, resolve, isAbsolute } from 'node:path';
import { OutputError } from '../io/errors.ts';
import { InputError, readError } from './errors.ts';
import { exists } from './inputFile.ts';

export interface OutputFolderOptions {
  /** Whether a folder that is not empty may be replaced. */
  readonly force: boolean;
  /** Files and folders that the run reads: the output must not replace them. */
  readonly inputs: readonly string[];
}

/**
 * Refuses an output folder that cannot be or must not be written, before any work is done for it.
 *
 * @throws OutputError when the folder that it would lie in may not be written to
 * @throws InputError when it or a part of its path is a file, is not empty without `force`, or when replacing it would take away an input, the home
 *   folder, or the folder that the program runs in
 */
export async function checkOutputFolder(folder: string, { force, inputs }: OutputFolderOptions): Promise<void> {
  const target = await realTarget(folder);
  if (basename(target) === '')
    throw new InputError(`--out ${folder} is the root of the file system; name a new folder`);
  for (const kept of [...inputs, process.cwd(), homedir()]) {
    if (await isWithin(kept, target)) {
      throw new InputError(`--out ${folder} would replace ${kept}; name another folder`);
    }
  }
  await requireWritable(folder, target);
  if (!(await exists(folder))) return;
  if (!(await stat(folder)).isDirectory()) throw new InputError(`--out ${folder} is a file, not a folder`);
  let entries: string[];
  try {
    entries = await readdir(folder);
  } catch (error) {
    throw readError(`--out ${folder}`, error);
  }
  if (entries.length > 0 && !force) {
    throw new InputError(
      `--out ${folder} is not empty (it holds ${entries.sort()[0]}${entries.length > 1 ? ` and ${entries.length - 1} more` : ''}); ` +
        'give another folder, or --force to replace it',
    );
  }
}

/** What is there of the way to the folder must be folders, and the last of them writable: known now, not after the work. */
async function requireWritable(folder: string, target: string): Promise<void> {
  let parent = dirname(target);
  while (!(await exists(parent)) && dirname(parent) !== parent) parent = dirname(parent);
  if (!(await stat(parent)).isDirectory()) throw new InputError(`--out ${folder}: ${parent} is a file, not a folder`);
  try {
    await access(parent, constants.W_OK);
  } catch (cause) {
    throw new OutputError(`--out ${folder}: ${parent} may not be written to (${(cause as Error).message})`, { cause });
  }
}

/** The path with the links of its existing part followed. */
async function realTarget(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(await realTarget(parent), basename(absolute));
  }
}

async function isWithin(path: string, folder: string): Promise<boolean> {
  const way = relative(folder, await realTarget(path));
  return way === '' || !(way.startsWith('..') || isAbsolute(way));
}
