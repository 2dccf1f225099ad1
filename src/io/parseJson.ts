import { findDuplicateKey } from './duplicateKey.ts';
import { FormatError } from './errors.ts';

/**
 * The value of a JSON text.
 *
 * @throws FormatError naming the file: no JSON, or a key twice in one object
 */
export function parseJson(text: string, file: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) throw new FormatError(`${file} holds the key ${JSON.stringify(twice)} twice in one object`);
  return value;
}
