import { stat } from 'node:fs/promises';
import { InputError } from './errors.ts';
import { exists } from './inputFile.ts';
import type { OutputFolderOptions } from './outputFolder.ts';
import { isWithin, realTarget, requireWritable } from './outputPath.ts';

/**
 * Refuses an output file that cannot be or must not be written, before any work is done for it.
 *
 * @throws OutputError when the folder that it would lie in may not be written to
 * @throws InputError when it is a folder, a part of its path is a file, it exists without `force`, or it is one of the inputs
 */
export async function checkOutputFile(file: string, { force, inputs }: OutputFolderOptions): Promise<void> {
  const target = await realTarget(file);
  for (const input of inputs) {
    if (await isWithin(input, target)) throw new InputError(`--out ${file} would replace ${input}; name another file`);
  }
  await requireWritable(file, target);
  if (!(await exists(target))) return;
  if ((await stat(target)).isDirectory()) throw new InputError(`--out ${file} is a folder; name a file in it`);
  if (!force) throw new InputError(`--out ${file} exists; give another file, or --force to replace it`);
}
