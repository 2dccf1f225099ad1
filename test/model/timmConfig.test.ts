import { expect, test } from 'vitest';
import { modelSizes, type ModelConfig } from '../../src/model/config.ts';
import { parameterShapes } from '../../src/model/parameters.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';
import { buildNetwork } from '../../src/model/network.ts';
import { searchedLayers } from '../../src/model/graph.ts';

function parse(architecture: string, imageSize: number, args = {}, fields = {}): ModelConfig {
  const pretrained = {
    input_size: [3, imageSize, imageSize],
    interpolation: 'bicubic',
    crop_pct: 0.9,
    crop_mode: 'squash',
  };
  const scale = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  const json = { architecture, model_args: args, pretrained_cfg: { ...pretrained, ...scale }, ...fields };
  return parseConfig(JSON.stringify(json), 'config.json');
}

/** Parameters of the published checkpoints with 1000 classes, as timm counts them. */
test.each([
  ['vit_large_patch16_384', 384, 304_715_752],
  ['vit_huge_patch14_224', 224, 632_045_800],
  ['vit_base_patch16_224_miil', 224, 86_540_008],
  ['vit_base_patch16_gap_224', 224, 86_566_120],
  ['deit3_medium_patch16_224', 224, 38_849_512],
  ['deit_base_distilled_patch16_384', 384, 87_630_032],
  ['swin_tiny_patch4_window7_224', 224, 28_288_354],
  ['swin_small_patch4_window7_224.ms_in1k', 224, 49_606_258],
  ['swin_base_patch4_window7_224', 224, 87_768_224],
  ['swin_large_patch4_window7_224', 224, 196_532_476],
])('%s at %i has %i parameters', (architecture, imageSize, expected) => {
  const sizes = [...parameterShapes(parse(architecture, imageSize)).values()].map((shape) =>
    shape.reduce((product, size) => product * size, 1),
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(expected);
});

test('the name says what the variants have', () => {
  const both = {
    registerTokens: 4,
    prefixTokens: 4,
    classToken: false,
    embedPrefix: false,
    globalPool: 'avg',
    fcNorm: true,
  };
  expect(parse('vit_betwixt_patch16_reg4_gap_256', 256)).toMatchObject({ ...both, layerScale: true, qkvBias: true });
  expect(parse('vit_base_patch16_reg4_gap_256', 256)).toMatchObject({ ...both, layerScale: false });
  const gap = { classToken: false, prefixTokens: 0, globalPool: 'avg', fcNorm: false, embedPrefix: true };
  expect(parse('vit_base_patch16_gap_224', 224)).toMatchObject({ ...gap, heads: 16, qkvBias: true });
  expect(parse('vit_medium_patch16_gap_240', 240)).toMatchObject({
    ...gap,
    heads: 8,
    qkvBias: false,
    layerScale: true,
  });
  expect(parse('vit_medium_patch16_reg4_256', 256)).toMatchObject({
    prefixTokens: 5,
    globalPool: 'token',
    fcNorm: false,
  });
  expect(parse('deit3_base_patch16_224', 224)).toMatchObject({
    layerScale: true,
    embedPrefix: false,
    distilled: false,
  });
  expect(parse('vit_giant_patch14_224', 224)).toMatchObject({ hiddenDim: 6144, depth: 40 });
  expect(parse('swin_large_patch4_window12_384_in22k', 384)).toMatchObject({ windowSize: 12, embedDim: 192 });
});

test('arguments make any variant of a name', () => {
  const args = {
    global_pool: 'avg',
    qk_norm: true,
    init_values: 0.1,
    reg_tokens: 2,
    no_embed_class: true,
    fc_norm: false,
  };
  expect(parse('vit_tiny_patch16_224', 224, args, { global_pool: 'avg' })).toMatchObject({
    ...{ globalPool: 'avg', qkNorm: true, layerScale: true, registerTokens: 2, prefixTokens: 3, embedPrefix: false },
    ...{ fcNorm: false, classToken: true },
  });
  expect(parse('vit_tiny_patch16_224', 224, { global_pool: 'avg' })).toMatchObject({ fcNorm: true, layerScale: false });
  const sizes = { embed_dim: 24, depths: [1, 2], num_heads: [2, 3], window_size: [6, 6], ape: true, patch_norm: false };
  const swin = parse('swin_tiny_patch4_window7_224', 48, { ...sizes, img_size: 48, mlp_ratio: 2 });
  expect(swin).toMatchObject({
    depths: [1, 2],
    heads: [2, 3],
    windowSize: 6,
    absolutePosition: true,
    patchNorm: false,
  });
  expect(modelSizes(swin)).toMatchObject({ depth: 3, heads: 2, hiddenDim: 48, imageSize: 48, patchSize: 4 });
  expect(swin.preprocessing.resizeShortestEdge).toEqual({ width: 53, height: 53 });
});

test.each([
  ['swin_s3_tiny_224', 224, {}, 'architecture is "swin_s3_tiny_224", wanted a ViT'],
  ['vit_base_patch16_clip_224', 224, {}, 'architecture is'],
  ['vit_base_patch16_siglip_224', 224, {}, 'architecture is'],
  ['vit_small_patch16_36x1_224', 224, {}, 'architecture is'],
  ['vit_dwee_patch16_reg1_gap_256', 256, {}, 'architecture is'],
  ['vit_constructor_patch16_224', 224, {}, 'architecture is'],
  ['vit_medium_patch16_224', 224, {}, 'architecture is'],
  ['vit_tiny_patch16_224', 224, { class_token: false }, 'model_args.class_token is false, wanted true'],
  ['vit_tiny_patch16_224', 224, { global_pool: 'map' }, 'model_args.global_pool is "map", wanted "token" or "avg"'],
  ['vit_tiny_patch16_224', 224, { act_layer: 'quick_gelu' }, 'model_args.act_layer is "quick_gelu"'],
  ['swin_tiny_patch4_window7_224', 224, { depths: [1, 2] }, '2 stages by their depths, 4 by their heads'],
  ['swin_tiny_patch4_window7_224', 224, { num_heads: [3, 6, 12, 25] }, '25 heads do not divide'],
  ['swin_tiny_patch4_window7_224', 224, { window_size: [7, 8] }, 'model_args.window_size is [7,8]'],
])('refuses %s at %i with %o', (architecture, imageSize, args, message) => {
  expect(() => parse(architecture, imageSize, args)).toThrow(message);
});

test('a Swin searches the products of its blocks and every reduction', () => {
  const names = searchedLayers(buildNetwork(parse('swin_tiny_patch4_window7_224', 224))).map(({ name }) => name);
  expect(names).toHaveLength(1 + 12 * 6 + 3 + 1);
  expect(names.slice(13, 16)).toEqual([
    'layers.0.downsample.reduction',
    'layers.1.blocks.0.attn.qkv',
    'layers.1.blocks.0.attn.qk',
  ]);
});
