import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename } from 'node:path';
import { InputError, readError } from './errors.ts';
import { exists } from './inputFile.ts';
import { isWithin, realTarget, requireWritable } from './outputPath.ts';

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
