import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { createSession, type SessionOptions } from '../../src/infer/session.ts';
import { concatenateBytes } from '../../src/node/concatenateBytes.ts';

/** The model file of a recipe and its weights file. */
export async function modelFileOf(recipe: Recipe, weights: Uint8Array): Promise<Uint8Array> {
  const input = { recipe, recipeText: recipeText(recipe), weights, weightsFile: 'weights.safetensors' };
  return writeModelFile(await exportModel({ ...input, writtenBy: 'acceptance' }));
}

/** Logits of a model file, f32 `[images][classes]`. */
export async function integerLogits(
  gpu: Gpu,
  file: Uint8Array,
  images: readonly CalibrationImage[],
  options: SessionOptions = {},
): Promise<Float32Array> {
  const session = await createSession(gpu.device, file, options);
  const logits = await session.run(concatenateBytes(images.map(({ rgb }) => rgb)), images.length);
  session.destroy();
  gpu.check();
  return Float32Array.from(logits, (value) => value * session.logitScale);
}
