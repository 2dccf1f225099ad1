import { join } from 'node:path';
import { loadModel, type Model } from '../model/load.ts';
import { InputError } from './errors.ts';
import { exists, readInputFile, readInputText, requireFolder } from './inputFile.ts';

/**
 * Reads the model of a folder with `config.json` and `model.safetensors`.
 *
 * @throws InputError when the folder or a file is missing or unreadable
 * @throws FormatError when a file is no model that this program knows; the message names the file and the tensor
 */
export async function loadModelFolder(folder: string): Promise<Model> {
  await requireFolder(folder, 'the model folder');
  const configFile = join(folder, 'config.json');
  const weightsFile = join(folder, 'model.safetensors');
  for (const file of [configFile, weightsFile]) {
    if (!(await exists(file))) {
      throw new InputError(`${file} does not exist; a model folder holds config.json and model.safetensors`);
    }
  }
  const configJson = await readInputText(configFile);
  return loadModel({ configJson, weights: await readInputFile(weightsFile), configFile, weightsFile });
}
