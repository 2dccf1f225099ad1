import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseRecipe } from '../calibrate/readRecipe.ts';
import { recipeView, type RecipeView } from '../report/data.ts';
import { readEvaluation, readRun, type EvaluationData } from '../report/readRun.ts';
import { InputError } from './errors.ts';
import { exists, readInputText, requireFolder } from './inputFile.ts';

/** `<recipe>.run.json`, beside the folder. */
export function runFileOf(folder: string): string {
  return `${folder.replace(/(?<=.)[\\/]+$/, '')}.run.json`;
}

/**
 * What a report shows of a folder that `quantize` wrote, and of the run beside it where there is one.
 *
 * @param runFile instead of the one beside it; it must exist
 * @throws InputError for a folder or file that is missing or unreadable
 * @throws FormatError for a recipe or a run that is malformed
 */
export async function loadRecipeView(folder: string, runFile?: string): Promise<RecipeView> {
  await requireFolder(folder, 'the recipe folder');
  const recipeFile = join(folder, 'recipe.json');
  if (!(await exists(recipeFile))) throw new InputError(`${recipeFile} does not exist; twinshift quantize writes it`);
  const recipe = parseRecipe(await readInputText(recipeFile), recipeFile);
  const beside = runFileOf(folder);
  const file = runFile ?? ((await exists(beside)) ? beside : undefined);
  const run = file === undefined ? null : readRun(await readInputText(file), file);
  return recipeView(recipe, basename(resolve(folder)), run);
}

/** Reads a file that holds what `evaluate --json` printed. Throws as `loadRecipeView`. */
export async function loadEvaluation(file: string): Promise<EvaluationData> {
  return readEvaluation(await readInputText(file), file);
}

/** The script that draws a report, as the build made it. */
export async function reportScript(): Promise<string> {
  const places = ['./reportScript.js', '../reportScript.js'].map((name) =>
    fileURLToPath(new URL(name, import.meta.url)),
  );
  const file = places.find((place) => existsSync(place));
  if (file === undefined) throw new Error(`${places[0]} is missing: build twinshift again`);
  return readInputText(file);
}
