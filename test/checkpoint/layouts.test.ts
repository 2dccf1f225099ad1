import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/io/errors.ts';
import type { TensorToWrite } from '../../src/io/safetensors.ts';
import { findLayout } from '../../src/model/layouts.ts';
import { parameterShapes } from '../../src/model/parameters.ts';
import { storedConfig } from '../../src/model/storedConfig.ts';
import { existsIn, inLayout, LAYOUTS, randomTensors } from '../../bench/support/checkpointLayouts.ts';
import { loadFrom, tinySwin, tinyVit } from '../support/checkpoints.ts';

const configs = [
  ['a ViT', tinyVit()],
  ['a ViT without biases of queries, keys and values', tinyVit({ qkvBias: false })],
  ['a distilled DeiT', tinyVit({ distilled: true, prefixTokens: 2 })],
  ['a DeiT with a distillation token and one head', tinyVit({ registerTokens: 1, prefixTokens: 2 })],
  ['a Swin', tinySwin()],
  ['a Swin with positions and without biases', tinySwin({ absolutePosition: true, qkvBias: false })],
] as const;

const timmOnly = [
  ['layer scale', tinyVit({ layerScale: true })],
  ['normalised queries and keys', tinyVit({ qkNorm: true })],
  ['registers outside the positions', tinyVit({ registerTokens: 4, prefixTokens: 5, embedPrefix: false })],
  ['average pooling', tinyVit({ globalPool: 'avg', fcNorm: true })],
  ['no class token', tinyVit({ globalPool: 'avg', fcNorm: false, classToken: false, prefixTokens: 0 })],
] as const;

describe.each(configs)('%s', (_what, config) => {
  test.each(LAYOUTS.filter((layout) => existsIn(config, layout)))('loads the same from %s', async (layout) => {
    const wanted = randomTensors(config, 7);
    const model = await loadFrom(config, layout);
    expect(storedConfig(model.config)).toEqual(storedConfig(config));
    for (const { name, shape, data } of wanted.filter((tensor) => tensor.name !== 'reg_token')) {
      expect(model.parameters.get(name), name).toEqual({ shape, values: data });
    }
  });
});

test.each(timmOnly)('a ViT with %s loads from timm', async (_what, config) => {
  const model = await loadFrom(config, 'timm');
  expect(storedConfig(model.config)).toEqual(storedConfig(config));
});

describe.each(['timm', 'Hugging Face', 'Hugging Face v5'] as const)('prefixes of %s', (layout) => {
  test.each(['model.', 'module.', 'module.model.', 'timm_model.'])('%s', async (prefix) => {
    for (const config of [tinyVit(), tinySwin()]) {
      const plain = await loadFrom(config, layout);
      const wrapped = await loadFrom(config, layout, (tensors) =>
        tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name })),
      );
      expect(wrapped.parameters).toEqual(plain.parameters);
    }
  });
});

test.each([
  ['vit.', tinyVit()],
  ['deit.', tinyVit({ distilled: true, prefixTokens: 2 })],
  ['swin.', tinySwin()],
] as const)('%s may be absent, or stand before the names of timm', async (prefix, config) => {
  const plain = await loadFrom(config, 'Hugging Face');
  const base = await loadFrom(config, 'Hugging Face v5', (tensors) =>
    tensors.map((tensor) => ({ ...tensor, name: tensor.name.replace(prefix, '') })),
  );
  expect(base.parameters).toEqual(plain.parameters);
  const prefixed = await loadFrom(config, 'timm', (tensors) =>
    tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name })),
  );
  expect(prefixed.parameters).toEqual(plain.parameters);
});

const extra = (name: string): TensorToWrite => ({ name, dtype: 'F32', shape: [2], data: new Float32Array(2) });

test.each([
  ['Hugging Face', tinyVit(), ['vit.pooler.dense.weight', 'vit.pooler.dense.bias', 'vit.embeddings.mask_token']],
  ['Hugging Face v5', tinyVit(), ['vit.pooler.dense.weight', 'vit.embeddings.mask_token']],
  ['timm', tinySwin(), ['layers.1.blocks.1.attn_mask', 'layers.0.blocks.0.attn.relative_position_index']],
  [
    'Hugging Face v5',
    tinySwin(),
    ['swin.encoder.layers.0.blocks.0.attention.relative_position_bias.relative_position_index'],
  ],
] as const)('what inference does not read is left out of %s', async (layout, config, names) => {
  const plain = await loadFrom(config, layout);
  const more = await loadFrom(config, layout, (tensors) => [...tensors, ...names.map(extra)]);
  expect(more.parameters).toEqual(plain.parameters);
});

test.each([
  ['timm', tinyVit(), 'blocks.0.ls1.gamma'],
  ['timm', tinyVit(), 'pooler.dense.weight'],
  ['timm', tinySwin(), 'layers.1.blocks.1.attn.logit_scale'],
  ['Hugging Face', tinyVit(), 'vit.encoder.layer.0.lambda_1'],
  ['Hugging Face', tinyVit(), 'vit.pooler.dense.weight_norm'],
  ['Hugging Face', tinySwin(), 'swin.encoder.layers.0.blocks.0.attention.self.logit_scale'],
] as const)('in %s, what is not known to be unread is refused', async (layout, config, name) => {
  const loading = loadFrom(config, layout, (tensors) => [...tensors, extra(name)]);
  await expect(loading).rejects.toThrow(`m.safetensors: unexpected tensor ${name} [2].`);
  await expect(loading).rejects.toThrow(FormatError);
});

test('missing and unexpected tensors are named in the words of the file, ten of each and the count', async () => {
  const loading = loadFrom(tinyVit(), 'Hugging Face', (tensors) => [
    ...tensors.filter(({ name }) => !name.includes('.layer.1.')),
    ...Array.from({ length: 12 }, (_, i) => extra(`vit.odd.${i}`)),
  ]);
  await expect(loading).rejects.toThrow(
    /missing 16 tensors: (vit\.encoder\.layer\.1\.\S+ \[[\d, ]+\], ){10}and 6 more; unexpected 12 tensors: (vit\.odd\.\d+ \[2\], ){10}and 2 more\./,
  );
  const query = loadFrom(tinyVit(), 'Hugging Face v5', (tensors) =>
    tensors.filter(({ name }) => name !== 'vit.layers.0.attention.k_proj.weight'),
  );
  await expect(query).rejects.toThrow('missing tensor vit.layers.0.attention.k_proj.weight [16, 16].');
});

test('a checkpoint without head, and one that is nothing, are refused by names', async () => {
  const headless = loadFrom(tinySwin(), 'Hugging Face', (tensors) =>
    tensors.filter(({ name }) => !name.startsWith('classifier')),
  );
  await expect(headless).rejects.toThrow('missing 2 tensors: classifier.weight [4, 32], classifier.bias [4].');
  const nothing = loadFrom(tinyVit(), 'timm', () => [extra('lonely')]);
  await expect(nothing).rejects.toThrow(/missing 32 tensors: cls_token .*unexpected tensor lonely \[2\]/);
});

test('a third of a joined tensor with another shape is named', async () => {
  const loading = loadFrom(tinyVit(), 'Hugging Face', (tensors) =>
    tensors.map((tensor) =>
      tensor.name.endsWith('0.attention.attention.value.weight') ? { ...tensor, shape: [8, 32] } : tensor,
    ),
  );
  await expect(loading).rejects.toThrow(
    'm.safetensors: tensor "vit.encoder.layer.0.attention.attention.value.weight" has shape [8, 32], expected [16, 16]',
  );
});

test.each(['F16', 'BF16'] as const)('%s loads as f32', async (dtype) => {
  const bits = { F16: 0x3e00, BF16: 0x3fc0 }[dtype]; // 1.5
  const model = await loadFrom(tinySwin(), 'Hugging Face', (tensors) =>
    tensors.map((tensor) =>
      tensor.dtype === 'F32'
        ? { ...tensor, dtype, data: new Uint16Array(tensor.data.byteLength / 4).fill(bits) }
        : tensor,
    ),
  );
  for (const { values } of model.parameters.values()) expect(new Set(values)).toEqual(new Set([1.5]));
});

test('the name of the layout that is found', () => {
  for (const [layout, name] of [
    ['timm', 'timm 0.9'],
    ['timm, Swin before 0.9', 'timm'],
    ['Hugging Face', 'Hugging Face'],
    ['Hugging Face v5', 'Hugging Face v5'],
  ] as const) {
    const config = tinySwin();
    const { tensors } = inLayout(config, randomTensors(config, 1), layout);
    const names = new Set(tensors.map((tensor) => tensor.name));
    expect(findLayout(names, [...parameterShapes(config).keys()]).layout).toBe(name);
  }
});
