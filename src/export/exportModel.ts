import type { Recipe } from '../calibrate/recipe.ts';
import type { IntegerModel } from '../format/model.ts';
import { sha256 } from '../io/sha256.ts';
import { modelSizes } from '../model/config.ts';
import { parseConfig } from '../model/parseConfig.ts';
import { buildNetwork } from '../model/network.ts';
import { buildProgram } from './buildProgram.ts';
import type { NonlinearChoice } from './nonlinear.ts';
import { QuantizedWeights } from './weights.ts';

export interface ExportInput {
  readonly recipe: Recipe;
  /** Its text as stored, for the hash that the model file keeps. */
  readonly recipeText: string;
  /** The bytes of the `weights.safetensors` beside it, and its name for messages. */
  readonly weights: Uint8Array;
  readonly weightsFile: string;
  /** Name and version of the program. */
  readonly writtenBy: string;
  /** Default `auto` for every kind. */
  readonly nonlinear?: NonlinearChoice;
}

/**
 * The integer model of a recipe: every scale becomes a dyadic number, every bias an integer of its accumulator, every
 * nonlinearity the integers of its method (METHOD: integer-only inference; I-ViT, section 3). The same input gives the same model.
 *
 * @throws ExportError naming the layer that has no integer form, with the number seen
 * @throws FormatError when the recipe's config or the weights are malformed
 */
export async function exportModel(input: ExportInput): Promise<IntegerModel> {
  const { recipe, weights, weightsFile } = input;
  const config = parseConfig(JSON.stringify(recipe.model.config), `${weightsFile}: the recipe's model.config`);
  const { architecture: name, ...sizes } = modelSizes(config);
  const parts = buildProgram(
    buildNetwork(config),
    { height: config.imageSize, width: config.imageSize, patchSize: config.patchSize },
    recipe,
    new QuantizedWeights(weights, weightsFile),
    input.nonlinear ?? {},
  );
  return {
    architecture: { name, ...sizes },
    preprocessing: config.preprocessing,
    labels: config.labels ?? null,
    provenance: {
      weightsSha256: recipe.model.weightsSha256,
      recipeSha256: await sha256(new TextEncoder().encode(input.recipeText)),
      options: recipe.options,
      calibrationImages: recipe.images.length,
      writtenBy: input.writtenBy,
    },
    ...parts,
  };
}
