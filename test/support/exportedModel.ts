import type { Recipe } from '../../src/calibrate/recipe.ts';
import { buildProgram } from '../../src/export/buildProgram.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import type { NonlinearChoice } from '../../src/export/nonlinear.ts';
import { QuantizedWeights } from '../../src/export/weights.ts';
import type { IntegerModel } from '../../src/format/model.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import type { Model } from '../../src/model/load.ts';
import { noise } from './floats.ts';
import { tinyModel } from './goldenModel.ts';
import { handModel } from './handModel.ts';
import { hostRecipe } from './hostRecipe.ts';
import { noiseImages, randomModel } from './randomModel.ts';

export interface ExportedModel {
  readonly integer: IntegerModel;
  /** uint8 `[count][height][width][3]`; the ranges of the model just hold these. */
  readonly pixels: Uint8Array;
  readonly count: number;
}

/** One of the tiny random models of test/golden/float as an integer model, and images for it. */
export async function exportedModel(
  name: 'vit-plain' | 'vit-distilled',
  {
    nonlinear = {},
    ...widths
  }: { readonly nonlinear?: NonlinearChoice; readonly weightBits?: number; readonly activationBits?: number } = {},
): Promise<ExportedModel> {
  const { model } = await tinyModel(name);
  const count = 4;
  const size = 3 * model.config.imageSize ** 2;
  const pixels = Uint8Array.from(noise(count * size, 3, 127), (x) => Math.round(x + 127.5));
  const images = Array.from({ length: count }, (_, i) => pixels.subarray(i * size, (i + 1) * size));
  const { recipe, weights } = hostRecipe(model, images, widths);
  const file = { recipeText: 'text', weights, weightsFile: 'weights.safetensors', writtenBy: 'test' };
  return { integer: await exportModel({ recipe, nonlinear, ...file }), pixels, count };
}

/** The network of a config with random parameters as an integer model, and images that its ranges just hold. */
export async function exportedNetwork(
  config: ModelConfig,
  {
    count = 3,
    change = (recipe) => recipe,
    ...widths
  }: { readonly count?: number; readonly weightBits?: number; readonly change?: (recipe: Recipe) => Recipe } = {},
): Promise<ExportedModel & { readonly model: Model }> {
  const model = randomModel(config);
  const images = (await noiseImages(model, count)).map(({ rgb }) => rgb);
  const { recipe: made, weights } = hostRecipe(model, images, widths);
  const recipe = change(made);
  const { imageSize, patchSize } = config;
  const image = { height: imageSize, width: imageSize, patchSize };
  const { program, ...parameters } = buildProgram(model.network, image, recipe, new QuantizedWeights(weights, 'w'), {});
  const pixels = Uint8Array.from(images.flatMap((rgb) => [...rgb]));
  return { model, integer: { ...handModel(program, {}), ...parameters }, pixels, count };
}
