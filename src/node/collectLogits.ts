import type { LogitTable } from '../evaluate/logitTable.ts';
import type { Preprocessing } from '../io/preprocess.ts';
import { concatenate } from '../model/concatenate.ts';
import { InputError } from './errors.ts';
import type { ImageFolder } from './imageFolder.ts';
import { loadImages } from './loadImage.ts';

/** How a folder of images is gone through. */
export interface FolderControl {
  /** Told why an image cannot be read, which is then left out; without it such an image is an error. */
  readonly onBadImage?: (why: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Logits f32 `[images, classes]` of preprocessed images, uint8 `[height, width, 3]` each. */
export type LogitsOf = (images: readonly Uint8Array[]) => Promise<Float32Array>;

export interface FolderLogits {
  /** Names of the images that were run, in the order of the logits. */
  readonly names: readonly string[];
  /** One a network. */
  readonly tables: readonly LogitTable[];
}

/** Images that run together; the logits do not depend on it. */
const BATCH = 8;

/**
 * Runs every network on every image of a folder.
 *
 * @throws InputError when no image can be read
 * @throws FormatError, InputError naming an unreadable image, without `onBadImage`
 */
export async function collectLogits(
  folder: ImageFolder,
  preprocessing: Preprocessing,
  classes: number,
  networks: readonly LogitsOf[],
  { onBadImage, onProgress, signal }: FolderControl,
): Promise<FolderLogits> {
  const logits = networks.map((): Float32Array[] => []);
  const names: string[] = [];
  let waiting: Uint8Array[] = [];
  const run = async () => {
    for (const [i, network] of networks.entries()) {
      signal?.throwIfAborted();
      if (waiting.length > 0) logits[i]?.push(await network(waiting));
    }
    waiting = [];
  };
  let done = 0;
  onProgress?.(0, folder.names.length);
  for await (const loaded of loadImages(folder.path, folder.names, preprocessing, signal)) {
    done++;
    if ('image' in loaded) {
      names.push(loaded.image.file);
      waiting.push(loaded.image.rgb);
    } else {
      if (!onBadImage) throw loaded.bad;
      onBadImage(loaded.bad.message);
    }
    if (waiting.length === BATCH) {
      await run();
      onProgress?.(done, folder.names.length);
    }
  }
  await run();
  onProgress?.(done, folder.names.length);
  if (names.length === 0) throw new InputError(`${folder.path}: none of its ${folder.names.length} images can be read`);
  return { names, tables: logits.map((parts) => ({ logits: concatenate(parts), classes })) };
}
