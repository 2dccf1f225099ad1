import type { JsonReader } from '../io/jsonReader.ts';

/** Largest size of one dimension. */
export const LARGEST_SIZE = 2 ** 20;
/** Most elements of a tensor of one image. */
export const MOST_ELEMENTS = 2 ** 28;
const NAME = /^[A-Za-z][\w.-]{0,199}$/;

/** Whether a tensor or an operation may be called so. */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value);
}

export function readName(reader: JsonReader): string {
  const { value } = reader;
  return isName(value) ? value : reader.refuse('a name: a letter, then up to 199 letters, digits, "_", "." or "-"');
}
