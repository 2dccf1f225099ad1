import { compareLogits, type Comparison } from '../evaluate/compare.ts';
import type { Gpu } from '../gpu/device.ts';
import { concatenate } from '../model/concatenate.ts';
import type { Model } from '../model/load.ts';
import { createFloatRunner, createSimulation, type Runner } from '../simulate/simulate.ts';
import { InputError } from './errors.ts';
import type { ImageFolder } from './imageFolder.ts';
import { loadImages } from './loadImage.ts';
import type { RecipeFolder } from './recipeFolder.ts';

export interface EvaluateOptions {
  /** Class of each image of the folder by name; null where they are not known. */
  readonly labels: ReadonlyMap<string, number> | null;
  /** What is measured against the float model; without it the float model is measured against itself. */
  readonly recipe?: RecipeFolder;
  /** Told why an image cannot be read, which is then left out; without it such an image is an error. */
  readonly onBadImage?: (why: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Images that run together; the logits do not depend on it. */
const BATCH = 8;

/**
 * Runs the float model and its quantized form on every image of a folder and compares their logits.
 *
 * @throws InputError when no image can be read
 * @throws FormatError, InputError naming an unreadable image, without `onBadImage`
 */
export async function evaluateFolder(
  gpu: Gpu,
  model: Model,
  folder: ImageFolder,
  { labels, recipe, onBadImage, onProgress, signal }: EvaluateOptions,
): Promise<Comparison> {
  const runners: Runner[] = [await createFloatRunner(gpu, model)];
  try {
    if (recipe) {
      runners.push(await createSimulation(gpu, model, recipe.recipe, recipe.weights, recipe.weightsFile));
    }
    const logits = runners.map((): Float32Array[] => []);
    const names: string[] = [];
    let waiting: Uint8Array[] = [];
    const run = async () => {
      for (const [i, runner] of runners.entries()) {
        signal?.throwIfAborted();
        if (waiting.length > 0) logits[i]?.push(await runner.logits(waiting));
      }
      waiting = [];
    };
    let done = 0;
    onProgress?.(0, folder.names.length);
    for await (const loaded of loadImages(folder.path, folder.names, model.config.preprocessing, signal)) {
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
    if (names.length === 0)
      throw new InputError(`${folder.path}: none of its ${folder.names.length} images can be read`);
    const tables = logits.map((parts) => ({ logits: concatenate(parts), classes: model.network.numClasses }));
    const [float, quantized = float] = tables;
    if (!float || !quantized) throw new Error('no network has run');
    return compareLogits(float, quantized, labels && names.map((name) => labels.get(name) as number));
  } finally {
    for (const runner of runners) runner.destroy();
  }
}
