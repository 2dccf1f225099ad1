import { join } from 'node:path';
import { checkRecipeFits, type RecipeTarget } from '../calibrate/fitRecipe.ts';
import { checkWeightsFit } from '../calibrate/fitWeights.ts';
import { parseRecipe } from '../calibrate/readRecipe.ts';
import type { Recipe } from '../calibrate/recipe.ts';
import { parseConfig } from '../model/parseConfig.ts';
import type { Model } from '../model/load.ts';
import { buildNetwork } from '../model/network.ts';
import { InputError } from './errors.ts';
import { exists, readInputFile, readInputText, requireFolder } from './inputFile.ts';

/** What `quantize` wrote, read back. */
export interface RecipeFolder {
  readonly recipe: Recipe;
  /** The text of `recipe.json` and its path. */
  readonly recipeText: string;
  readonly recipeFile: string;
  /** The bytes of `weights.safetensors` and its path. */
  readonly weights: Uint8Array;
  readonly weightsFile: string;
}

/**
 * Reads a folder with `recipe.json` and `weights.safetensors` and holds the recipe against the model.
 *
 * @param modelName of the model, for messages
 * @throws InputError when the folder or a file is missing or unreadable
 * @throws FormatError when the recipe is malformed or was made for another model, or the weights are not those of the recipe
 */
export async function loadRecipeFolder(folder: string, model: Model, modelName: string): Promise<RecipeFolder> {
  const files = await readRecipeFolder(folder);
  checkFiles(files, model, modelName);
  return files;
}

/** The same without the float model: the recipe and the weights are held against the network that the recipe itself names. */
export async function loadRecipeFiles(folder: string): Promise<RecipeFolder> {
  const files = await readRecipeFolder(folder);
  const { config, weightsSha256 } = files.recipe.model;
  const network = buildNetwork(parseConfig(JSON.stringify(config), `${files.recipeFile}: model.config`));
  checkFiles(files, { network, weightsSha256 }, 'its own model.config');
  return files;
}

/** Paths of the recipe and of the weights in a recipe folder. */
export function recipePaths(folder: string): readonly [recipe: string, weights: string] {
  return [join(folder, 'recipe.json'), join(folder, 'weights.safetensors')];
}

async function readRecipeFolder(folder: string): Promise<RecipeFolder> {
  await requireFolder(folder, 'the recipe folder');
  const [recipeFile, weightsFile] = recipePaths(folder);
  for (const file of [recipeFile, weightsFile]) {
    if (!(await exists(file))) {
      throw new InputError(`${file} does not exist; twinshift quantize writes recipe.json and weights.safetensors`);
    }
  }
  const recipeText = await readInputText(recipeFile);
  const recipe = parseRecipe(recipeText, recipeFile);
  return { recipe, recipeText, recipeFile, weights: await readInputFile(weightsFile), weightsFile };
}

function checkFiles(files: RecipeFolder, target: RecipeTarget, name: string): void {
  checkRecipeFits(files.recipe, files.recipeFile, target, name);
  checkWeightsFit(files.recipe, target.network, files.weights, files.weightsFile);
}
