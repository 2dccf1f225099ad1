import { dequantizedCheckpoint } from '../export/dequantizedCheckpoint.ts';
import { exportFloatOnnx, exportOnnx } from '../export/onnx/exportOnnx.ts';
import type { Model } from '../model/load.ts';
import { readCheckpointTensors } from './checkpointTensors.ts';
import type { RecipeFolder } from './recipeFolder.ts';

/** Formats for other programs: each the bytes of one file, of which the same input gives the same. */

/**
 * The quantize-dequantize model of a recipe as ONNX.
 *
 * @param version of the program
 * @throws ExportError naming what ONNX has no form for
 */
export function onnxOfRecipe({ recipe, weights, weightsFile }: RecipeFolder, version: string): Uint8Array {
  return exportOnnx({ recipe, weights, weightsFile, version });
}

/** A float model as ONNX. */
export function onnxOfModel(model: Model, version: string): Uint8Array {
  return exportFloatOnnx(model, version);
}

/**
 * The checkpoint in `modelFolder` with the weights of a recipe that was made for it.
 *
 * @param model of that folder
 * @param writtenBy name and version of the program
 * @throws ExportError naming a layer that the checkpoint has no room for
 */
export async function checkpointOfRecipe(
  { recipe, weights, weightsFile }: RecipeFolder,
  model: Model,
  modelFolder: string,
  writtenBy: string,
): Promise<Uint8Array> {
  const checkpoint = await readCheckpointTensors(modelFolder);
  return dequantizedCheckpoint({ recipe, weights, weightsFile, model, checkpoint, writtenBy });
}
