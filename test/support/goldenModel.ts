import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readF32 } from '../../src/io/readTensor.ts';
import { parseSafetensors, writeSafetensors, type SafetensorsFile } from '../../src/io/safetensors.ts';
import { loadModel, type Model } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';

/** A model with numbers that PyTorch computed for it. */
export interface GoldenModel {
  readonly model: Model;
  /** Values of a golden tensor; undefined when the file has none of that name. */
  readonly golden: (name: string) => Float32Array | undefined;
}

export const TINY_VARIANTS = ['vit-registers', 'vit-pooled', 'vit-averaged', 'swin-odd'] as const;
export type TinyName = 'vit-plain' | 'vit-distilled' | (typeof TINY_VARIANTS)[number];

/** One of the tiny random models of test/golden/float: weights and golden tensors in one file, the config in its metadata. */
export async function tinyModel(name: TinyName): Promise<GoldenModel> {
  const path = fileURLToPath(new URL(`../golden/float/${name}.safetensors`, import.meta.url));
  const file = parseSafetensors(await readFile(path), name);
  const weights = [...file.tensors.values()].filter((entry) => !entry.name.startsWith('golden.'));
  const bytes = writeSafetensors(weights.map((entry) => ({ ...entry, data: entry.bytes })));
  const model = await loadModel({ configJson: file.metadata['config'] as string, weights: bytes });
  return { model, golden: (tensor) => values(file, `golden.${tensor}`) };
}

/** A model of the shared data: a folder with config.json and model.safetensors, golden tensors in the files named. */
export async function sharedModel(folder: string, ...goldenFiles: string[]): Promise<GoldenModel> {
  const model = await loadModel({
    configJson: await readFile(join(folder, 'config.json'), 'utf8'),
    weights: await readFile(join(folder, 'model.safetensors')),
  });
  const files = await Promise.all(
    goldenFiles.map(async (name) => parseSafetensors(await readFile(join(folder, name)), name)),
  );
  return {
    model,
    golden: (tensor) => {
      for (const file of files) {
        const found = values(file, tensor);
        if (found) return found;
      }
      return undefined;
    },
  };
}

/** Patches of a batch of normalised images `[images, 3, size, size]`. */
export function patchesOf(pixels: Float32Array, { config }: Model): { patches: Float32Array; images: number } {
  const perImage = 3 * config.imageSize ** 2;
  const images = pixels.length / perImage;
  const patches = new Float32Array(pixels.length);
  for (let i = 0; i < images; i++) {
    patches.set(unfoldPatches(pixels.subarray(i * perImage, (i + 1) * perImage), config), i * perImage);
  }
  return { patches, images };
}

function values(file: SafetensorsFile, name: string): Float32Array | undefined {
  const entry = file.tensors.get(name);
  return entry && readF32(entry);
}
