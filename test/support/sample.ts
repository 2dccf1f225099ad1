import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { listImages } from '../../src/io/listImages.ts';
import { loadModel, type Model } from '../../src/model/load.ts';
import { buildNetwork } from '../../src/model/network.ts';
import { loadImage } from '../../src/node/loadImage.ts';

const models = fileURLToPath(new URL('../../models', import.meta.url));

/** An embedded sample model; both were trained for the images of `sample`. */
export async function sampleModel(name: 'sample' | 'sample-swin' = 'sample'): Promise<Model> {
  const folder = join(models, name);
  return loadModel({
    configJson: await readFile(join(folder, 'config.json'), 'utf8'),
    weights: await readFile(join(folder, 'model.safetensors')),
  });
}

/** The embedded ViT without the blocks from `depth` on: trained activations in a part of the time. */
export async function shallowSample(depth: number): Promise<Model> {
  const model = await sampleModel();
  if (model.config.family !== 'vit') throw new Error('the embedded sample is a ViT');
  const config = { ...model.config, depth };
  return { ...model, config, network: buildNetwork(config) };
}

/** The first `count` images of a folder of the sample, preprocessed. */
export async function sampleImages(model: Model, set: 'calib' | 'eval', count: number): Promise<CalibrationImage[]> {
  const folder = join(models, 'sample', set);
  const { files } = await listImages(folder);
  return Promise.all(files.slice(0, count).map((file) => loadImage(folder, file, model.config.preprocessing)));
}
