import { join } from 'node:path';
import { checkRecipeFits } from '../calibrate/fitRecipe.ts';
import { checkWeightsFit } from '../calibrate/fitWeights.ts';
import { parseRecipe } from '../calibrate/readRecipe.ts';
import type { Recipe } from '../calibrate/recipe.ts';
import type { Model } from '../model/load.ts';
import { InputError } from './errors.ts';
import { exists, readInputFile, readInputText, requireFolder } from './inputFile.ts';

/** What `quantize` wrote, read back. */
export interface RecipeFolder {
  readonly recipe: Recipe;
  /** The bytes of `weights.safetensors`. */
  readonly weights: Uint8Array;
  /** Its path, for messages. */
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
  await requireFolder(folder, 'the recipe folder');
  const recipeFile = join(folder, 'recipe.json');
  const weightsFile = join(folder, 'weights.safetensors');
  for (const file of [recipeFile, weightsFile]) {
    if (!(await exists(file))) {
      throw new InputError(`${file} does not exist; twinshift quantize writes recipe.json and weights.safetensors`);
    }
  }
  const recipe = parseRecipe(await readInputText(recipeFile), recipeFile);
  checkRecipeFits(recipe, recipeFile, model, modelName);
  const weights = await readInputFile(weightsFile);
  checkWeightsFit(recipe, model.network, weights, weightsFile);
  return { recipe, weights, weightsFile };
}
