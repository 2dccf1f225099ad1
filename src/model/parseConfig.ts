import { FormatError } from '../io/errors.ts';
import type { ModelConfig } from './config.ts';
import { readHubConfig } from './hubConfig.ts';
import { JsonFields } from './jsonFields.ts';
import { readStoredConfig } from './storedConfig.ts';
import { readTimmConfig } from './timmConfig.ts';

/**
 * Reads the `config.json` of a checkpoint: timm's form, recognised by `architecture`, that of Hugging Face by `model_type`; and
 * the form in which a recipe keeps it, by `family`.
 *
 * @param preprocessor contents of `preprocessor_config.json`, which that of Hugging Face needs
 * @throws FormatError naming `file`, the field and the value seen
 */
export function parseConfig(
  json: string,
  file: string,
  preprocessor?: { readonly json: string; readonly file: string },
): { config: ModelConfig; rawConfig: unknown } {
  const rawConfig = parse(json, file);
  const top = new JsonFields(rawConfig, file, '');
  if (top.has('architecture') && !top.has('family')) return { config: readTimmConfig(top), rawConfig };
  if (top.has('family')) return { config: readStoredConfig(top), rawConfig };
  if (!top.has('model_type')) {
    throw top.wrong('architecture', 'the name of a timm model, or model_type that of Hugging Face');
  }
  const processor = preprocessor && new JsonFields(parse(preprocessor.json, preprocessor.file), preprocessor.file, '');
  return { config: readHubConfig(top, processor), rawConfig };
}

function parse(json: string, file: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new FormatError(`${file} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
