import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { listImages } from '../../src/io/listImages.ts';
import { loadModel, type Model } from '../../src/model/load.ts';
import { loadImage } from '../../src/node/loadImage.ts';

const folder = fileURLToPath(new URL('../../models/sample', import.meta.url));

/** The embedded sample model. */
export async function sampleModel(): Promise<Model> {
  return loadModel({
    configJson: await readFile(join(folder, 'config.json'), 'utf8'),
    weights: await readFile(join(folder, 'model.safetensors')),
  });
}

/** The first `count` images of a folder of the sample, preprocessed. */
export async function sampleImages(model: Model, set: 'calib' | 'eval', count: number): Promise<CalibrationImage[]> {
  const { files } = await listImages(join(folder, set));
  return Promise.all(
    files.slice(0, count).map((file) => loadImage(join(folder, set), file, model.config.preprocessing)),
  );
}
