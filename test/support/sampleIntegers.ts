import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { readModelFile } from '../../src/format/readModelFile.ts';
import type { Model } from '../../src/model/load.ts';
import { sampleImages, sampleModel } from './sample.ts';

/** Images of the sample that the committed logits are of. */
export const SAMPLE_IMAGES = 16;

/**
 * CRC-32 of the logits i32 `[16][16]`, little endian, of the first 16 evaluation images. The file was made by `twinshift quantize
 * models/sample --images models/sample/calib` on lavapipe; every engine on every adapter gives these bytes.
 */
export const SAMPLE_CRC = '50488960';

/** The same of the Swin sample: of the logits i32 `[2][16]` of the first 2, the file made from `models/sample-swin`. */
export const SWIN_CRC = 'fa708e7d';
export const SWIN_IMAGES = 2;

/** The committed integer model of a sample, and its images. */
export async function sampleIntegers(
  name: 'sample' | 'sample-swin' = 'sample',
): Promise<{ bytes: Uint8Array; pixels: Uint8Array }> {
  const path = fileURLToPath(new URL(`../golden/integer/${name}-w8a8.twinshift.safetensors`, import.meta.url));
  const bytes = new Uint8Array(await readFile(path));
  const model: Model = await sampleModel(name);
  if (readModelFile(bytes, path).provenance.weightsSha256 !== model.weightsSha256) {
    throw new Error(`${path} was not made from models/${name}; quantize it again and commit its file and CRC`);
  }
  const images = await sampleImages(model, 'eval', name === 'sample' ? SAMPLE_IMAGES : SWIN_IMAGES);
  const pixels = new Uint8Array(images.reduce((sum, { rgb }) => sum + rgb.length, 0));
  images.forEach(({ rgb }, i) => pixels.set(rgb, i * rgb.length));
  return { bytes, pixels };
}
