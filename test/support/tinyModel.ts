import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { writeSafetensors, type TensorToWrite } from '../../src/io/safetensors.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';
import { parameterShapes } from '../../src/model/parameters.ts';
import { noise } from './floats.ts';

/** A ViT of one block with 16 features on 32 x 32 pixels and 10 classes, in timm's form: what a command does with it takes no time. */
export const TINY_CONFIG = {
  architecture: 'vit_tiny_patch16_224',
  num_classes: 10,
  model_args: { img_size: 32, patch_size: 16, embed_dim: 16, depth: 1, num_heads: 2 },
  pretrained_cfg: {
    input_size: [3, 32, 32],
    interpolation: 'bicubic',
    crop_pct: 0.9,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  },
};

/** Random tensors of that model, of a size that keeps every activation lively. */
export function tinyTensors(seed = 1): TensorToWrite[] {
  const config = parseConfig(JSON.stringify(TINY_CONFIG), 'config.json');
  return [...parameterShapes(config)].map(([name, shape], i) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const gain = /norm\d?\.weight$/.test(name) ? 1 : 0;
    return { name, dtype: 'F32', shape, data: noise(count, seed * 100 + i, 0.4).map((v) => gain + v) };
  });
}

/** Writes `config.json` and `model.safetensors` into `folder`. */
export function writeModel(
  folder: string,
  tensors: readonly TensorToWrite[] = tinyTensors(),
  config: unknown = TINY_CONFIG,
): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'model.safetensors'), writeSafetensors(tensors));
  return folder;
}

/** Writes `count` PNGs of noise, `000.png` and on, each another one, into `folder`; none of them has 32 x 32 pixels. */
export async function writeImages(folder: string, count: number): Promise<string> {
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    const pixels = noise(40 * 36 * 3, i + 1, 127).map((v) => Math.round(v + 127.5));
    const png = sharp(Uint8Array.from(pixels), { raw: { width: 40, height: 36, channels: 3 } }).png();
    await png.toFile(join(folder, `${String(i).padStart(3, '0')}.png`));
  }
  return folder;
}
