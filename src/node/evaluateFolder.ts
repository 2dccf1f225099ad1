import { compareLogits, type Comparison } from '../evaluate/compare.ts';
import type { LogitTable } from '../evaluate/logitTable.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Model } from '../model/load.ts';
import { createFloatRunner, createSimulation, type Runner } from '../simulate/simulate.ts';
import { collectLogits, type FolderControl } from './collectLogits.ts';
import type { ImageFolder } from './imageFolder.ts';
import type { RecipeFolder } from './recipeFolder.ts';

export interface EvaluateOptions extends FolderControl {
  /** Class of each image of the folder by name; null where they are not known. */
  readonly labels: ReadonlyMap<string, number> | null;
  /** What is measured against the float model; without it the float model is measured against itself. */
  readonly recipe?: RecipeFolder;
}

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
  { labels, recipe, ...control }: EvaluateOptions,
): Promise<Comparison> {
  const runners: Runner[] = [await createFloatRunner(gpu, model)];
  try {
    if (recipe) {
      runners.push(await createSimulation(gpu, model, recipe.recipe, recipe.weights, recipe.weightsFile));
    }
    const networks = runners.map((runner) => (images: readonly Uint8Array[]) => runner.logits(images));
    const { preprocessing, numClasses } = model.config;
    const { names, tables } = await collectLogits(folder, preprocessing, numClasses, networks, control);
    const [float, quantized = float] = tables as readonly [LogitTable, LogitTable?];
    return compareLogits(float, quantized, labelsOf(names, labels));
  } finally {
    for (const runner of runners) runner.destroy();
  }
}

/** The class of each of `names`; null where they are not known. */
export function labelsOf(names: readonly string[], labels: ReadonlyMap<string, number> | null): number[] | null {
  return labels && names.map((name) => labels.get(name) as number);
}
