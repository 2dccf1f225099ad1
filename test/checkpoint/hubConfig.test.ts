import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/io/errors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';

const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [i, `class ${i}`]));

function parse(config: Record<string, unknown>, processor: Record<string, unknown> | null = {}): ModelConfig {
  const files = processor === null ? undefined : { json: JSON.stringify(processor), file: 'preprocessor_config.json' };
  return parseConfig(JSON.stringify(config), 'config.json', files);
}

const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

describe('config.json', () => {
  test('a ViT with every key absent has the sizes of ViT-B/16 and the defaults of its processor', () => {
    expect(parse({ model_type: 'vit', id2label: labels(3) })).toEqual({
      ...{ family: 'vit', architecture: 'vit_base_patch16_224', imageSize: 224, patchSize: 16, embedDim: 768 },
      ...{ depth: 12, heads: 12, hiddenDim: 3072, numClasses: 3, prefixTokens: 1, classToken: true, distilled: false },
      ...{ registerTokens: 0, embedPrefix: true, globalPool: 'token', fcNorm: false, qkNorm: false, layerScale: false },
      ...{ qkvBias: true, layerNormEpsilon: 1e-12, labels: ['class 0', 'class 1', 'class 2'] },
      preprocessing: {
        ...{ width: 224, height: 224, resizeShortestEdge: { width: 224, height: 224 }, interpolation: 'bilinear' },
        ...{ cropRounding: 'half-even', rescale: 1 / 255, ...half },
      },
    });
  });

  test('a Swin with every key absent is Swin-T', () => {
    expect(parse({ model_type: 'swin', num_labels: 7 })).toMatchObject({
      ...{ family: 'swin', architecture: 'swin_tiny_patch4_window7_224', embedDim: 96, depths: [2, 2, 6, 2] },
      ...{ heads: [3, 6, 12, 24], windowSize: 7, hiddenRatio: 4, patchSize: 4, layerNormEpsilon: 1e-5, numClasses: 7 },
      ...{ patchNorm: true, absolutePosition: false },
    });
  });

  test('keys of the file hold', () => {
    const vit = { model_type: 'vit', hidden_size: 64, num_hidden_layers: 5, num_attention_heads: 4 };
    const sizes = { intermediate_size: 96, image_size: [64, 64], patch_size: [8, 8], qkv_bias: false };
    const config = parse({ ...vit, ...sizes, layer_norm_eps: 1e-6, hidden_act: 'gelu_python' }, { size: 64 });
    expect(config).toMatchObject({
      ...{ embedDim: 64, depth: 5, heads: 4, hiddenDim: 96, imageSize: 64, patchSize: 8, qkvBias: false },
      ...{ layerNormEpsilon: 1e-6, architecture: 'vit_64x5_patch8_64', numClasses: 2 },
    });
    const swin = { model_type: 'swin', embed_dim: 128, depths: [2, 2, 18, 2], num_heads: [4, 8, 16, 32] };
    const large = { image_size: 384, window_size: 12, mlp_ratio: 2, use_absolute_embeddings: true };
    expect(parse({ ...swin, ...large }, { size: 384 })).toMatchObject({
      ...{ architecture: 'swin_base_patch4_window12_384', hiddenRatio: 2, absolutePosition: true },
    });
  });

  test('which heads a DeiT has is said by its class', () => {
    const deit = { model_type: 'deit', architectures: ['DeiTForImageClassificationWithTeacher'] };
    expect(parse(deit)).toMatchObject({ distilled: true, prefixTokens: 2, registerTokens: 0 });
    expect(parse(deit).architecture).toBe('deit_base_distilled_patch16_224');
    const single = { ...deit, architectures: ['DeiTForImageClassification'] };
    expect(parse(single)).toMatchObject({ distilled: false, prefixTokens: 2, registerTokens: 1, embedPrefix: true });
  });

  test('labels are in the order of their numbers; names that say nothing are none', () => {
    const id2label = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [11 - i, `n${11 - i}`]));
    expect(parse({ model_type: 'vit', id2label }).labels?.slice(9)).toEqual(['n9', 'n10', 'n11']);
    const nameless = parse({ model_type: 'vit', id2label: { 0: 'LABEL_0', 1: 'LABEL_1', 2: 'LABEL_2' } });
    expect(nameless).toMatchObject({ numClasses: 3 });
    expect(nameless.labels).toBeUndefined();
  });

  const vit = { model_type: 'vit' };
  test.each([
    ['another family', { model_type: 'beit' }, 'config.json: model_type is "beit", wanted "vit" or "deit" or "swin"'],
    ['no family', { hidden_size: 3 }, 'architecture is missing, wanted the name of a timm model, or model_type'],
    ['the tanh GELU', { ...vit, hidden_act: 'gelu_new' }, 'hidden_act is "gelu_new", wanted "gelu"'],
    ['another activation', { model_type: 'swin', hidden_act: 'relu' }, 'hidden_act is "relu", wanted "gelu"'],
    ['grey images', { ...vit, num_channels: 1 }, 'num_channels is 1, wanted 3'],
    ['oblong images', { ...vit, image_size: [224, 192] }, 'image_size is [224,192], wanted an integer'],
    ['heads', { ...vit, num_attention_heads: 7 }, 'config.json: 7 heads do not divide the embedding of 768 features'],
    ['patches', { ...vit, patch_size: 15 }, 'patch size 15 does not divide the image size 224'],
    ['an epsilon of 0', { ...vit, layer_norm_eps: 0 }, 'layer_norm_eps is 0, wanted a positive number'],
    ['a gap in the labels', { ...vit, id2label: { 0: 'a', 2: 'b' } }, 'id2label.1 is missing, wanted a text'],
    ['no labels', { ...vit, id2label: {} }, 'id2label is {}, wanted a name for each class'],
    [
      'a DeiT without class',
      { model_type: 'deit' },
      'architectures is missing, wanted ["DeiTForImageClassificationWith',
    ],
    ['a bare DeiT', { model_type: 'deit', architectures: ['DeiTModel'] }, 'architectures is ["DeiTModel"], wanted'],
    ['stages without heads', { model_type: 'swin', depths: [2, 2] }, '2 stages by their depths, 4 by their heads'],
    ['another epsilon of a Swin', { model_type: 'swin', layer_norm_eps: 1e-6 }, 'layer_norm_eps is 0.000001, wanted'],
    ['a depth of 0', { model_type: 'swin', depths: [2, 0, 6, 2] }, 'depths is [2,0,6,2], wanted 1 to 16 integers'],
  ])('refuses %s', (_what, config, message) => {
    expect(() => parse(config)).toThrow(FormatError);
    expect(() => parse(config)).toThrow(message);
  });

  test('without preprocessor_config.json nobody knows how images are made', () => {
    expect(() => parse(vit, null)).toThrow('preprocessor_config.json is missing beside it');
    expect(() => parseConfig('{"model_type":"vit"}', 'c', { json: '{', file: 'p.json' })).toThrow('p.json is not JSON');
  });
});

describe('preprocessor_config.json', () => {
  const vit = { model_type: 'vit' };
  const settings = (processor: Record<string, unknown>, type = 'vit') =>
    parse({ model_type: type, architectures: ['DeiTForImageClassification'] }, processor).preprocessing;

  test('an absent class is that of the model: a Swin has that of ViT, a DeiT crops 224 of 256', () => {
    expect(settings({}, 'swin')).toMatchObject({ resizeShortestEdge: { width: 224, height: 224 }, ...half });
    expect(settings({}, 'deit')).toMatchObject({
      ...{
        width: 224,
        height: 224,
        resizeShortestEdge: { width: 256, height: 256 },
        interpolation: 'bicubic',
        ...half,
      },
    });
  });

  test.each(['DeiTImageProcessor', 'DeiTImageProcessorFast', 'DeiTImageProcessorPil', 'DeiTFeatureExtractor'])(
    'the class is found by the name %s',
    (name) => {
      const wanted = { resizeShortestEdge: { width: 256, height: 256 }, interpolation: 'bicubic' };
      expect(settings({ image_processor_type: name })).toMatchObject(wanted);
      expect(settings({ feature_extractor_type: name })).toMatchObject(wanted);
    },
  );

  test('the newer key names the class when both are there', () => {
    const both = { image_processor_type: 'ViTImageProcessor', feature_extractor_type: 'DeiTFeatureExtractor' };
    expect(settings(both)).toMatchObject({ resizeShortestEdge: { width: 224, height: 224 } });
  });

  test('sizes are an integer, two, height and width, or a short side', () => {
    expect(settings({ size: 224 }).resizeShortestEdge).toEqual({ width: 224, height: 224 });
    const crop = { do_center_crop: true, crop_size: 224 };
    expect(settings({ ...crop, size: [240, 256] }).resizeShortestEdge).toEqual({ width: 256, height: 240 });
    expect(settings({ ...crop, size: { height: 240, width: 256 } }).resizeShortestEdge).toEqual({
      ...{ width: 256, height: 240 },
    });
    expect(settings({ ...crop, size: { shortest_edge: 256 } }).resizeShortestEdge).toBe(256);
    const clip = { feature_extractor_type: 'CLIPFeatureExtractor', size: 256, crop_size: { height: 224, width: 224 } };
    expect(settings(clip)).toMatchObject({ resizeShortestEdge: 256, width: 224, interpolation: 'bicubic' });
    expect(settings({ image_processor_type: 'BitImageProcessor' }).mean).toEqual([0.48145466, 0.4578275, 0.40821073]);
  });

  test('keys hold whatever the class is', () => {
    const swapped = { image_processor_type: 'ViTImageProcessor', size: { shortest_edge: 236 }, do_center_crop: true };
    expect(settings({ ...swapped, crop_size: 224, resample: 1 })).toMatchObject({
      ...{ resizeShortestEdge: 236, width: 224, interpolation: 'lanczos', cropRounding: 'floor' },
    });
    const plain = { image_processor_type: 'DeiTImageProcessor', do_center_crop: false, size: 224, crop_size: 100 };
    expect(settings(plain).resizeShortestEdge).toEqual({ width: 224, height: 224 });
  });

  test.each(['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'])('%s has its code', (name) => {
    const code = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'].indexOf(name);
    expect(settings({ resample: code }).interpolation).toBe(name);
  });

  test('rescale, mean and standard deviation', () => {
    expect(settings({ rescale_factor: 1 / 127.5 }).rescale).toBe(1 / 127.5);
    expect(settings({ do_rescale: false, rescale_factor: 1 / 127.5 }).rescale).toBe(1);
    expect(settings({ image_mean: [0.1, 0.2, 0.3], image_std: 0.25 })).toMatchObject({
      ...{ mean: [0.1, 0.2, 0.3], std: [0.25, 0.25, 0.25] },
    });
    expect(settings({ do_normalize: false, image_mean: [1, 2, 3] })).toMatchObject({ mean: [0, 0, 0], std: [1, 1, 1] });
  });

  test('both ways to halve a margin agree where it is even for every image', () => {
    const crop = { do_center_crop: true, crop_size: 224 };
    expect(settings({ ...crop, size: 256 }).cropRounding).toBe('half-even');
    expect(settings({ ...crop, size: 255 }).cropRounding).toBe('floor');
    expect(settings({ ...crop, size: { shortest_edge: 256 } }).cropRounding).toBe('floor');
  });

  const other = 'SegformerImageProcessor';
  const full = {
    image_processor_type: other,
    size: { height: 224, width: 224 },
    resample: 2,
    image_mean: 0,
    image_std: 1,
  };
  test('a class whose defaults are not known needs every key', () => {
    expect(settings(full)).toMatchObject({ interpolation: 'bilinear', mean: [0, 0, 0] });
    for (const key of ['size', 'resample', 'image_mean', 'image_std']) {
      expect(() => settings({ ...full, [key]: null })).toThrow(`preprocessor_config.json: ${key} is missing, wanted`);
    }
    expect(() => settings({ ...full, size: 224 })).toThrow(
      'size is 224, wanted a value: the class of the processor has',
    );
    expect(() => settings({ ...full, do_center_crop: true })).toThrow('crop_size is missing, wanted a value');
    expect(() => settings({ image_processor_type: 'constructor' })).toThrow('size is missing');
  });

  test.each([
    ['another size than the model', { size: 256 }, 'size is 256, wanted 224 x 224 at the end, the image_size'],
    ['an oblong result', { size: { height: 224, width: 200 } }, 'wanted 224 x 224 at the end'],
    ['a short side without crop', { size: { shortest_edge: 224 } }, 'size is {"shortest_edge":224}, wanted 224 x 224'],
    ['another crop', { do_center_crop: true, crop_size: 200 }, 'crop_size is 200, wanted 224 x 224'],
    ['a longest edge', { size: { longest_edge: 224 } }, 'wanted height and width, or shortest_edge alone'],
    ['no resize', { do_resize: false }, 'do_resize is false, wanted true'],
    ['padding', { do_pad: true }, 'do_pad is true, wanted false'],
    ['an offset', { rescale_offset: true }, 'rescale_offset is true, wanted false'],
    ['a share to crop', { crop_pct: 0.875 }, 'crop_pct is 0.875, wanted no such key'],
    ['swapped colours', { do_flip_channel_order: true }, 'do_flip_channel_order is true, wanted false'],
    ['an unknown filter', { resample: 6 }, 'resample is 6, wanted a code of Pillow in 0..5'],
    ['a filter by name', { resample: 'bicubic' }, 'resample is "bicubic", wanted a code of Pillow'],
    ['a deviation of 0', { image_std: [1, 0, 1] }, 'image_std is [1,0,1], wanted positive numbers'],
    ['two means', { image_mean: [1, 0] }, 'image_mean is [1,0], wanted 3 numbers'],
    ['a size of 0', { size: { height: 0, width: 224 } }, 'size.height is 0, wanted an integer in 1..'],
    ['a text as flag', { do_normalize: 'yes' }, 'do_normalize is "yes", wanted true or false'],
  ])('refuses %s', (_what, processor, message) => {
    expect(() => parse(vit, processor)).toThrow(FormatError);
    expect(() => parse(vit, processor)).toThrow(`preprocessor_config.json: `);
    expect(() => parse(vit, processor)).toThrow(message);
  });
});
