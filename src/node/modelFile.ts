import { readModelFile } from '../format/readModelFile.ts';
import type { IntegerModel } from '../format/model.ts';
import { InputError } from './errors.ts';
import { isFolder, readInputFile } from './inputFile.ts';

/** A model file, read and checked. */
export interface ModelFile {
  readonly path: string;
  readonly byteLength: number;
  readonly model: IntegerModel;
}

/** Whether `path` is a file rather than a folder, which decides what kind of model it is. Throws InputError when it is not there. */
export async function isModelFile(path: string): Promise<boolean> {
  return !(await isFolder(path, 'the model'));
}

/**
 * Reads what `export` and `quantize` write.
 *
 * @throws InputError when the file is missing, unreadable or a folder
 * @throws FormatError when it is no model file of a version that this program knows
 */
export async function loadModelFile(path: string): Promise<ModelFile> {
  if (await isFolder(path, 'the model file')) {
    throw new InputError(
      `the model file ${path} is a folder; twinshift quantize or export makes a model.twinshift.safetensors of it`,
    );
  }
  const bytes = await readInputFile(path);
  return { path, byteLength: bytes.byteLength, model: readModelFile(bytes, path) };
}
