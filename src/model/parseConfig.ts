import { FormatError } from '../io/errors.ts';
import type { ModelConfig } from './config.ts';
import { JsonFields } from './jsonFields.ts';
import { readTimmConfig } from './timmConfig.ts';

/**
 * Reads the `config.json` of a checkpoint: timm's form, recognised by `architecture`.
 *
 * @throws FormatError naming `file`, the field and the value seen
 */
export function parseConfig(json: string, file: string): { config: ModelConfig; rawConfig: unknown } {
  let rawConfig: unknown;
  try {
    rawConfig = JSON.parse(json);
  } catch (cause) {
    throw new FormatError(`${file} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const top = new JsonFields(rawConfig, file, '');
  return { config: readTimmConfig(top), rawConfig };
}
