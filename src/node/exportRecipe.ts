import { exportModel } from '../export/exportModel.ts';
import type { NonlinearChoice } from '../export/nonlinear.ts';
import { writeModelFile } from '../format/writeModelFile.ts';
import type { IntegerModel } from '../format/model.ts';
import { parseConfig } from '../model/parseConfig.ts';
import type { Model } from '../model/load.ts';
import { parameterShapes } from '../model/parameters.ts';
import type { RecipeFolder } from './recipeFolder.ts';

/** Name of the model file in a folder that `quantize` writes. */
export const MODEL_FILE = 'model.twinshift.safetensors';

export interface Exported {
  readonly model: IntegerModel;
  /** Of the model file; the same recipe, choice and program give the same bytes. */
  readonly bytes: Uint8Array;
}

/**
 * The model file of a recipe.
 *
 * @param writtenBy name and version of the program
 * @throws ExportError naming the layer that has no integer form, with the number seen
 */
export async function exportRecipe(
  { recipe, recipeText, weights, weightsFile }: Omit<RecipeFolder, 'recipeFile'>,
  nonlinear: NonlinearChoice,
  writtenBy: string,
): Promise<Exported> {
  const model = await exportModel({ recipe, recipeText, weights, weightsFile, nonlinear, writtenBy });
  return { model, bytes: writeModelFile(model) };
}

/** Bytes of all parameters of the float model of a recipe as f32. */
export function floatWeightBytes({ recipe, recipeFile }: Pick<RecipeFolder, 'recipe' | 'recipeFile'>): number {
  const config = parseConfig(JSON.stringify(recipe.model.config), `${recipeFile}: model.config`);
  const sizes = [...parameterShapes(config).values()].map((shape) => shape.reduce((a, b) => a * b, 1));
  return 4 * sizes.reduce((a, b) => a + b, 0);
}

/** Bytes of all parameters of a float model as f32. */
export function parameterBytes({ parameters }: Model): number {
  return [...parameters.values()].reduce((bytes, { values }) => bytes + values.byteLength, 0);
}

export type NonlinearCounts = Readonly<Record<'softmax' | 'gelu' | 'norm', Readonly<Record<string, number>>>>;

/** How many layers of each kind of nonlinearity take each method; LayerNorm has `shift` (as published) and `shift-fixed` alone. */
export function nonlinearMethods({ program }: IntegerModel): NonlinearCounts {
  const counts = { softmax: {}, gelu: {}, norm: {} } as Record<keyof NonlinearCounts, Record<string, number>>;
  const count = (kind: keyof NonlinearCounts, method: string) => {
    counts[kind][method] = (counts[kind][method] ?? 0) + 1;
  };
  for (const operation of program.operations) {
    if (operation.kind === 'softmax' || operation.kind === 'gelu') count(operation.kind, operation.constants.method);
    if (operation.kind === 'layerNorm') count('norm', operation.form === 'published' ? 'shift' : 'shift-fixed');
  }
  return counts;
}
