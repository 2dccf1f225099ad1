import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inLayout, randomTensors, type LayoutName } from '../../bench/support/checkpointLayouts.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { tinySwin } from '../support/checkpoints.ts';
import { twinshift } from '../support/command.ts';
import { writeImages } from '../support/tinyModel.ts';

const swin = tinySwin({ depths: [1, 1], heads: [1, 2] });
let folder: string;
let images: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'twinshift-layouts-'));
  images = await writeImages(join(folder, 'images'), 2);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The Swin in a folder as `layout` has it, the weights in `shards` files. */
function write(name: string, layout: LayoutName, shards: number): string {
  const { config, processor, tensors } = inLayout(swin, randomTensors(swin, 7), layout);
  const model = join(folder, name);
  mkdirSync(model);
  writeFileSync(join(model, 'config.json'), JSON.stringify(config));
  if (processor !== undefined) writeFileSync(join(model, 'preprocessor_config.json'), JSON.stringify(processor));
  const file = (s: number) => (shards === 1 ? 'model.safetensors' : `model-0000${s + 1}-of-0000${shards}.safetensors`);
  for (let s = 0; s < shards; s++) {
    writeFileSync(join(model, file(s)), writeSafetensors(tensors.filter((_, i) => i % shards === s)));
  }
  if (shards > 1) {
    const map = Object.fromEntries(tensors.map((tensor, i) => [tensor.name, file(i % shards)]));
    writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  }
  return model;
}

test('timm and shards of Hugging Face: the same layers, the same recipe but for the hash', async () => {
  const models = [write('timm', 'timm', 1), write('hub', 'Hugging Face v5', 3)];
  const tables: string[] = [];
  const recipes: string[] = [];
  for (const [i, model] of models.entries()) {
    const inspected = await twinshift(['inspect', model]);
    expect(inspected.stderr).toBe('');
    tables.push(inspected.stdout.split('\n').slice(2).join('\n')); // after the name and the hash
    const out = join(folder, `recipe ${i}`);
    const quantized = await twinshift([
      'quantize',
      model,
      '--images',
      images,
      '--count',
      '2',
      '--out',
      out,
      '--preset',
      'fast',
    ]);
    expect(quantized.code, quantized.stderr).toBe(0);
    recipes.push(readFileSync(join(out, 'recipe.json'), 'utf8'));
    expect(readFileSync(join(out, 'weights.safetensors'))).toEqual(
      readFileSync(join(folder, 'recipe 0/weights.safetensors')),
    );
  }
  expect(tables[0]).toContain('layers.0.downsample.reduction');
  expect(tables[1]).toBe(tables[0]);
  const hash = /"weightsSha256":\s*"[0-9a-f]{64}"/;
  expect(recipes[0]).not.toBe(recipes[1]);
  expect(recipes[1]?.replace(hash, '')).toBe(recipes[0]?.replace(hash, ''));
});

test('a pickle is refused in one line that says how to convert it', async () => {
  const model = join(folder, 'pickle');
  mkdirSync(model);
  writeFileSync(join(model, 'config.json'), '{}');
  writeFileSync(join(model, 'pytorch_model.bin'), '');
  const { code, stdout, stderr } = await twinshift(['inspect', model]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^twinshift: \S+pytorch_model\.bin is a PyTorch pickle, .*python3 -c "import torch.*\n$/);
});
