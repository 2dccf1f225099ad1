import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Model } from '../model/load.ts';
import { loadModelFiles } from '../model/modelFiles.ts';
import { readError } from './errors.ts';
import { readInputFile, requireFolder } from './inputFile.ts';

/**
 * Reads the model of a folder with the files that `loadModelFiles` knows.
 *
 * @throws InputError when the folder or a file is unreadable
 * @throws FormatError when a file is missing or no model that this program knows; the message names the file and the tensor
 */
export async function loadModelFolder(folder: string): Promise<Model> {
  await requireFolder(folder, 'the model folder');
  const names = await readdir(folder).catch((error: unknown) => {
    throw readError(folder, error);
  });
  return loadModelFiles({
    names: new Set(names),
    read: (name) => readInputFile(join(folder, name)),
    path: (name) => join(folder, name),
  });
}
