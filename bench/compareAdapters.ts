/**
 * Two recipes of one model, made on two adapters, side by side. Run after a build with
 * `node dist/bench/compareAdapters.js <recipe folder> <recipe folder>`; ends with 1 when they differ by more than float rounding explains.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseRecipe } from '../src/calibrate/readRecipe.ts';
import { compareRecipes } from './support/compareRecipes.ts';
import { atMost, printClaims } from './support/table.ts';

const folders = process.argv.slice(2);
const recipes = await Promise.all(
  folders.map(async (folder) => parseRecipe(await readFile(path.join(folder, 'recipe.json'), 'utf8'), folder)),
);
const [one, other] = recipes;
if (!one || !other) throw new Error('two recipe folders are compared');
const { scales, differentScales, differentShifts, worstScore, worstLayer } = compareRecipes(one, other);
console.log(
  `\n${differentScales} of ${scales} scales and ${differentShifts} twin shifts differ: candidates whose scores are equal to float rounding change places.`,
);
const failed = printClaims(
  `The sample's recipe on two adapters: ${folders.map((folder) => path.basename(folder)).join(', ')}`,
  [atMost(`largest relative difference of a layer's score (${worstLayer})`, worstScore, 0.01, 4)],
);
process.exitCode = failed === 0 ? 0 : 1;
