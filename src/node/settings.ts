import { readFile } from 'node:fs/promises';
import { readSettings } from '../calibrate/readOptions.ts';
import type { CalibrationOverrides } from '../calibrate/presets.ts';
import { parseJson } from '../io/parseJson.ts';
import { JsonReader } from '../io/jsonReader.ts';
import { readError } from './errors.ts';

/**
 * Reads a settings file of `quantize --config`: a JSON object of options by the names of the recipe, and `layers`, a list of
 * `{"pattern": "blocks.*.mlp.fc2", "options": {"weightBits": 8}}`.
 *
 * @throws InputError when the file cannot be read
 * @throws FormatError naming the file, the place and the value of an option that is unknown or impossible
 */
export async function loadSettings(file: string): Promise<CalibrationOverrides> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw readError(file, error);
  }
  return readSettings(new JsonReader(parseJson(text, file), file));
}
