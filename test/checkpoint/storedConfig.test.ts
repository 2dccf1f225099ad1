import { expect, test } from 'vitest';
import { FormatError } from '../../src/io/errors.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';
import { architectureName, storedConfig } from '../../src/model/storedConfig.ts';
import { tinySwin, tinyVit } from '../support/checkpoints.ts';

const read = (value: unknown) => parseConfig(JSON.stringify(value), 'recipe.json: model.config');

const variants = { layerScale: true, qkNorm: true, registerTokens: 4, prefixTokens: 5, embedPrefix: false } as const;

test.each([
  ['a ViT', tinyVit()],
  ['a distilled DeiT', tinyVit({ distilled: true, prefixTokens: 2 })],
  ['variants', tinyVit(variants)],
  ['pooling', tinyVit({ globalPool: 'avg', fcNorm: true, classToken: false, prefixTokens: 0 })],
  ['a Swin', tinySwin({ absolutePosition: true, patchNorm: false, hiddenRatio: 2.5 })],
])('what is stored of %s is read back', (_what, config) => {
  expect(read(storedConfig(config))).toEqual(config);
  expect(JSON.stringify(storedConfig(read(storedConfig(config))))).toBe(JSON.stringify(storedConfig(config)));
});

test('the order of members and the name do not depend on where a config came from', () => {
  const config = tinyVit();
  const shuffled = Object.fromEntries(Object.entries(config).reverse()) as unknown as typeof config;
  const named = { ...shuffled, architecture: 'deit_tiny_patch16_224.fb_in1k' };
  expect(JSON.stringify(storedConfig(named))).toBe(JSON.stringify(storedConfig(config)));
});

test('names of architectures', () => {
  const base = { embedDim: 768, depth: 12, heads: 12, patchSize: 16, imageSize: 384 };
  expect(architectureName(tinyVit(base))).toBe('vit_base_patch16_384');
  expect(architectureName(tinyVit({ ...base, distilled: true }))).toBe('deit_base_distilled_patch16_384');
  expect(architectureName(tinyVit({ ...base, heads: 8 }))).toBe('vit_768x12_patch16_384');
  expect(architectureName(tinySwin())).toBe('swin_8x1-2-1_patch2_window2_16');
});

const vit = storedConfig(tinyVit());
const swin = storedConfig(tinySwin());
test.each([
  ['another family', { ...vit, family: 'mixer' }, 'family is "mixer", wanted "vit" or "swin"'],
  ['a missing size', { ...vit, embedDim: undefined }, 'embedDim is missing, wanted an integer'],
  ['a size that is no integer', { ...swin, windowSize: 2.5 }, 'windowSize is 2.5, wanted an integer in'],
  ['heads', { ...vit, heads: 3 }, '3 heads do not divide the embedding of 16 features'],
  ['heads of a stage', { ...swin, heads: [1, 2, 5] }, '5 heads do not divide the embedding of 32 features'],
  ['stages', { ...swin, heads: [1, 2] }, '3 stages by their depths, 2 by their heads'],
  ['patches', { ...vit, patchSize: 7 }, 'patch size 7 does not divide the image size 16'],
  ['labels', { ...vit, labels: ['a'] }, 'labels is ["a"], wanted 5 names'],
  ['a pool', { ...vit, globalPool: 'max' }, 'globalPool is "max", wanted "token" or "avg"'],
  ['a filter', { ...vit, preprocessing: { ...vit.preprocessing, interpolation: 'x' } }, 'interpolation is "x", wanted'],
  ['a deviation', { ...vit, preprocessing: { ...vit.preprocessing, std: [1, -1, 1] } }, 'three positive numbers'],
  ['no class token to read', { ...vit, classToken: false }, 'globalPool "token" needs a class token'],
  ['two heads without tokens', { ...vit, distilled: true, globalPool: 'avg' }, 'two heads read two tokens'],
])('refuses %s', (_what, config, message) => {
  expect(() => read(config)).toThrow(FormatError);
  expect(() => read(config)).toThrow(message);
});
