import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { readF32 } from '../../src/io/readTensor.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { Model } from '../../src/model/load.ts';
import { listImageFolder, loadLabels } from '../../src/node/imageFolder.ts';
import { selectImages } from '../../src/node/selectImages.ts';

/** The real models and photos, and the embedded samples. All are run from the root of a checkout. */

/** `TWINSHIFT_DATA`, else `../shared/data` when it is there. */
export function realData(): string | undefined {
  const folder = process.env['TWINSHIFT_DATA'] ?? '../shared/data';
  return existsSync(folder) ? folder : undefined;
}

/** The ViT with its images, and the Swin that was trained for the same ones. */
export const SAMPLE = 'models/sample';
export const SAMPLE_SWIN = 'models/sample-swin';

/** All images of a folder in byte order of their names, with their labels. */
export async function labelledImages(
  folder: string,
  model: Model,
): Promise<{ images: readonly CalibrationImage[]; labels: readonly number[] }> {
  const listed = await listImageFolder(folder);
  const labels = await loadLabels(listed, undefined, model.network.numClasses);
  if (!labels) throw new Error(`${folder} has no labels.csv`);
  const { images } = await selectImages(listed, model.config.preprocessing, { count: listed.names.length, seed: 0 });
  return { images, labels: images.map(({ file }) => labels.get(file) as number) };
}

/** Logits of PyTorch for the images of a folder, in the byte order of their names; the file has them in that of labels.csv. */
export async function goldenLogits(
  golden: string,
  tensor: string,
  labelsFile: string,
  images: readonly CalibrationImage[],
): Promise<Float32Array> {
  const entry = parseSafetensors(await readFile(golden), golden).tensors.get(tensor);
  if (!entry) throw new Error(`${golden} has no ${tensor}`);
  const values = readF32(entry);
  const lines = (await readFile(labelsFile, 'utf8')).trim().split(/\r?\n/).slice(1);
  const row = new Map(lines.map((line, i) => [line.split(',')[0], i]));
  const classes = values.length / row.size;
  const ordered = new Float32Array(images.length * classes);
  images.forEach(({ file }, i) => {
    const from = (row.get(file) as number) * classes;
    ordered.set(values.subarray(from, from + classes), i * classes);
  });
  return ordered;
}
