import { isDeepStrictEqual } from 'node:util';
import { accuracy } from '../evaluate/accuracy.ts';
import { compareLogits, type Comparison } from '../evaluate/compare.ts';
import type { LogitTable } from '../evaluate/logitTable.ts';
import type { Gpu } from '../gpu/device.ts';
import { FormatError } from '../io/errors.ts';
import { sha256 } from '../io/sha256.ts';
import type { Model } from '../model/load.ts';
import { createFloatRunner, createSimulation } from '../simulate/simulate.ts';
import { collectLogits, type FolderControl, type LogitsOf } from './collectLogits.ts';
import { labelsOf } from './evaluateFolder.ts';
import type { ImageFolder } from './imageFolder.ts';
import type { IntegerRunner } from './integerRunner.ts';
import type { ModelFile } from './modelFile.ts';
import type { RecipeFolder } from './recipeFolder.ts';

/** How near the logits of two networks are. */
export type Nearness = Pick<Comparison, 'agreement' | 'klDivergence' | 'logitSqnrDb'>;

/** `Comparison` with null for what only a float model could tell. */
export type FileComparison = { readonly [K in keyof Comparison]: K extends 'images' ? number : number | null } & {
  /** Against the quantize-dequantize evaluation of the recipe; null without one. */
  readonly simulation: Nearness | null;
};

/** The float network that a model file came from, and its simulation under the recipe. */
export interface FloatOriginal {
  readonly gpu: Gpu;
  readonly model: Model;
  readonly recipe?: RecipeFolder;
}

export interface EvaluateFileOptions extends FolderControl {
  /** Class of each image of the folder by name; null where they are not known. */
  readonly labels: ReadonlyMap<string, number> | null;
  readonly against?: FloatOriginal;
}

/**
 * Runs a model file on every image of a folder; against its float original when there is one.
 *
 * @throws InputError when no image can be read
 * @throws FormatError, InputError naming an unreadable image, without `onBadImage`
 */
export async function evaluateModelFile(
  { model }: ModelFile,
  runner: IntegerRunner,
  folder: ImageFolder,
  { labels, against, ...control }: EvaluateFileOptions,
): Promise<FileComparison> {
  const originals = await originalRunners(against);
  try {
    const networks: LogitsOf[] = [
      (images) => realLogits(runner, images, control.signal),
      ...originals.map(
        (original): LogitsOf =>
          (images) =>
            original.logits(images),
      ),
    ];
    const { numClasses } = model.architecture;
    const { names, tables } = await collectLogits(folder, model.preprocessing, numClasses, networks, control);
    const [own, float, simulated] = tables as readonly [LogitTable, LogitTable?, LogitTable?];
    const classes = labelsOf(names, labels);
    const simulation = simulated ? nearness(compareLogits(simulated, own, null)) : null;
    if (float) return { ...compareLogits(float, own, classes), simulation };
    const { top1 = null, top5 = null } = classes ? accuracy(own, classes) : {};
    return { images: names.length, top1, top5, ...UNKNOWN, simulation };
  } finally {
    for (const original of originals) original.destroy();
  }
}

const UNKNOWN = {
  floatTop1: null,
  floatTop5: null,
  agreement: null,
  topOneDropPoints: null,
  klDivergence: null,
  logitSqnrDb: null,
} as const;

async function originalRunners(against: FloatOriginal | undefined) {
  if (!against) return [];
  const { gpu, model, recipe } = against;
  const float = await createFloatRunner(gpu, model);
  if (!recipe) return [float];
  try {
    return [float, await createSimulation(gpu, model, recipe.recipe, recipe.weights, recipe.weightsFile)];
  } catch (error) {
    float.destroy();
    throw error;
  }
}

async function realLogits(
  runner: IntegerRunner,
  images: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const logits = await runner.run(images, signal ? { signal } : {});
  return Float32Array.from(logits, (logit) => logit * runner.logitScale);
}

function nearness({ agreement, klDivergence, logitSqnrDb }: Comparison): Nearness {
  return { agreement, klDivergence, logitSqnrDb };
}

/**
 * Refuses a float model or a recipe that a model file was not made from: comparing the two would say nothing.
 *
 * @throws FormatError naming both, with the hashes or the preprocessing that differ
 */
export async function checkOriginal(
  { path, model: { provenance, preprocessing } }: ModelFile,
  original: Model,
  originalName: string,
  recipe?: RecipeFolder,
): Promise<void> {
  const { weightsSha256, config } = original;
  requireSame(path, 'model.safetensors', provenance.weightsSha256, weightsSha256, originalName);
  if (!isDeepStrictEqual(config.preprocessing, preprocessing)) {
    throw new FormatError(
      `${path} prepares images as ${JSON.stringify(preprocessing)}, ${originalName} as ` +
        `${JSON.stringify(config.preprocessing)}; give the config.json that it was made with`,
    );
  }
  if (!recipe) return;
  const recipeSha256 = await sha256(new TextEncoder().encode(recipe.recipeText));
  requireSame(path, 'recipe.json', provenance.recipeSha256, recipeSha256, recipe.recipeFile);
}

function requireSame(path: string, what: string, made: string, given: string, name: string): void {
  if (made === given) return;
  throw new FormatError(
    `${path} was made from a ${what} with SHA-256 ${made.slice(0, 12)}..., that of ${name} has ${given.slice(0, 12)}...; ` +
      'give the one that it was made from',
  );
}
