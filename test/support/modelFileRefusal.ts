import { expect } from 'vitest';
import { readModelFile } from '../../src/format/readModelFile.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { FormatError } from '../../src/io/errors.ts';
import { editModelFile, setAt, type OpenModelFile } from './editModelFile.ts';
import { tinyIntegerModel } from './tinyIntegerModel.ts';

/** A file that is fine, for tests that spoil it. */
export const good = writeModelFile(tinyIntegerModel(1, { depth: 1, weightBits: 4 }));

/** The text of the FormatError that the file is refused with. */
export function messageOf(bytes: Uint8Array): string {
  try {
    readModelFile(bytes, 'tiny.safetensors');
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    const { message } = error as FormatError;
    expect(message).toMatch(/^tiny\.safetensors/);
    return message;
  }
  throw new Error('the file was read');
}

/** Keys and indices that lead to a value of the manifest. */
export type Path = readonly (string | number)[];

/** What `good` is refused with after a change. */
export const refusedAfter = (edit: (file: OpenModelFile) => void): string => messageOf(editModelFile(good, edit));
export const refusedWith = (path: Path, value: unknown): string =>
  refusedAfter(({ manifest }) => setAt(manifest, path, value));

/** Places in the manifest. */
export const operation = (name: string, ...rest: Path): Path => ['operations', name, ...rest];
export const block = (name: string, ...rest: Path): Path => operation(`blocks.0.${name}`, ...rest);
export const tensor = (name: string, ...rest: Path): Path => ['tensors', name, ...rest];
