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
): ModelConfig {
  const top = new JsonFields(parse(json, file), file, '');
  if (top.has('architecture') && !top.has('family')) return readTimmConfig(top);
  if (top.has('family')) return readStoredConfig(top);
  if (!top.has('model_type')) {
    throw top.wrong('architecture', 'the name of a timm model, or model_type that of Hugging Face');
  }
  const processor = preprocessor && new JsonFields(parse(preprocessor.json, preprocessor.file), preprocessor.file, '');
  return readHubConfig(top, processor);
}

function parse(json: string, file: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new FormatError(`${file} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
