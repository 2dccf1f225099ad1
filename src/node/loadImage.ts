import { join } from 'node:path';
import type { CalibrationImage } from '../calibrate/imageChunks.ts';
import { decodeImage } from '../io/decodeNode.ts';
import { preprocess, type Preprocessing } from '../io/preprocess.ts';
import { sha256 } from '../io/sha256.ts';
import { FormatError } from '../io/errors.ts';
import { InputError } from './errors.ts';
import { readInputFile } from './inputFile.ts';

/** One image of a folder, decoded and preprocessed for the model. Throws InputError or FormatError naming the file. */
export async function loadImage(folder: string, name: string, preprocessing: Preprocessing): Promise<CalibrationImage> {
  const path = join(folder, name);
  const bytes = await readInputFile(path);
  return { file: name, sha256: await sha256(bytes), rgb: await pixelsOf(bytes, path, preprocessing) };
}

/** The pixels of the image file `path`, uint8 `[height, width, 3]`, preprocessed for the model. Throws as `loadImage`. */
export async function loadPixels(path: string, preprocessing: Preprocessing): Promise<Uint8Array> {
  return pixelsOf(await readInputFile(path), path, preprocessing);
}

async function pixelsOf(bytes: Uint8Array, path: string, preprocessing: Preprocessing): Promise<Uint8Array> {
  return preprocess(await decodeImage(bytes, path), preprocessing);
}

/** The image, or why it cannot be used. */
export type LoadedImage = { readonly image: CalibrationImage } | { readonly name: string; readonly bad: Error };

/** Images decoded at a time: the decoder has threads of its own. */
const BATCH = 8;

/**
 * Loads images in the order of their names, a few ahead; a bad one is part of the sequence, so that the caller decides.
 *
 * @throws the reason of `signal` once it is aborted
 */
export async function* loadImages(
  folder: string,
  names: readonly string[],
  preprocessing: Preprocessing,
  signal?: AbortSignal,
): AsyncGenerator<LoadedImage> {
  for (let start = 0; start < names.length; start += BATCH) {
    signal?.throwIfAborted();
    yield* await Promise.all(
      names.slice(start, start + BATCH).map((name) =>
        loadImage(folder, name, preprocessing).then(
          (image) => ({ image }),
          (error: unknown) => ({ name, bad: badImage(error) }),
        ),
      ),
    );
  }
}

/** Errors of one image can be skipped; any other one cannot. */
function badImage(error: unknown): Error {
  if (error instanceof FormatError || error instanceof InputError) return error;
  throw error;
}
