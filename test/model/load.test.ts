import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { FormatError } from '../../src/io/errors.ts';
import { parseSafetensors, writeSafetensors, type TensorToWrite } from '../../src/io/safetensors.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';
import { loadModel, type Model } from '../../src/model/load.ts';

const pretrained = {
  input_size: [3, 224, 224],
  interpolation: 'bicubic',
  crop_pct: 0.9,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

function parse(fields: Record<string, unknown>, cfg: Record<string, unknown> = {}) {
  const json = JSON.stringify({ pretrained_cfg: { ...pretrained, ...cfg }, num_classes: 10, ...fields });
  return parseConfig(json, 'config.json');
}

test('reads a plain and a distilled architecture by name', () => {
  expect(parse({ architecture: 'deit_small_patch16_224' })).toEqual({
    family: 'vit',
    architecture: 'deit_small_patch16_224',
    imageSize: 224,
    patchSize: 16,
    embedDim: 384,
    depth: 12,
    heads: 6,
    hiddenDim: 1536,
    numClasses: 10,
    prefixTokens: 1,
    classToken: true,
    distilled: false,
    registerTokens: 0,
    embedPrefix: true,
    globalPool: 'token',
    fcNorm: false,
    qkNorm: false,
    layerScale: false,
    qkvBias: true,
    layerNormEpsilon: 1e-6,
    preprocessing: {
      width: 224,
      height: 224,
      resizeShortestEdge: 248,
      interpolation: 'bicubic',
      cropRounding: 'half-even',
      rescale: 1 / 255,
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
    },
  });
  const large = parse({ architecture: 'deit_base_distilled_patch16_384.fb_in1k' }, { input_size: [3, 384, 384] });
  expect(large).toMatchObject({ embedDim: 768, heads: 12, prefixTokens: 2, distilled: true, imageSize: 384 });
  expect(parse({ architecture: 'vit_base_patch32_224' })).toMatchObject({ patchSize: 32, depth: 12 });
});

test('model_args override the sizes of the name; labels are taken', () => {
  const config = parse(
    {
      architecture: 'vit_tiny_patch16_224',
      model_args: { patch_size: 8, embed_dim: 60, depth: 3, num_heads: 5, img_size: 64, mlp_ratio: 2, qkv_bias: false },
      num_classes: 2,
      label_names: ['cat', 'dog'],
    },
    { input_size: [3, 64, 64], crop_pct: 1, interpolation: 'bilinear' },
  );
  expect(config).toMatchObject({ patchSize: 8, embedDim: 60, depth: 3, heads: 5, hiddenDim: 120, qkvBias: false });
  expect(config).toMatchObject({ numClasses: 2, labels: ['cat', 'dog'] });
  expect(config.preprocessing).toMatchObject({ width: 64, resizeShortestEdge: 64, interpolation: 'bilinear' });
  expect(parse({ ...vit, num_classes: 2 }, { label_names: ['cat', 'dog'] }).labels).toEqual(['cat', 'dog']);
});

const vit = { architecture: 'vit_tiny_patch16_224' };
test.each([
  ['another family', { architecture: 'resnet50' }, {}, 'config.json: architecture is "resnet50", wanted a ViT, DeiT'],
  ['another Swin', { architecture: 'swinv2_tiny_window8_256' }, {}, 'architecture is "swinv2_tiny_window8_256"'],
  ['a name that is an object property', { architecture: 'constructor' }, {}, 'architecture is "constructor"'],
  ['a distilled ViT', { architecture: 'vit_tiny_distilled_patch16_224' }, {}, 'architecture is "vit_tiny_distilled'],
  ['no architecture', {}, {}, 'config.json: architecture is missing, wanted the name of a timm model'],
  ['average pooling', { ...vit, global_pool: 'avg' }, {}, 'global_pool is "avg", wanted "token"'],
  ['an unknown argument', { ...vit, model_args: { pre_norm: true } }, {}, 'model_args.pre_norm is true'],
  ['a list for arguments', { ...vit, model_args: [1] }, {}, 'model_args must be a JSON object'],
  ['heads', { ...vit, model_args: { num_heads: 5 } }, {}, '5 heads do not divide the embedding of 192 features'],
  ['patches', { ...vit, model_args: { patch_size: 15 } }, {}, 'patch size 15 does not divide the image size 224'],
  ['a negative depth', { ...vit, model_args: { depth: -1 } }, {}, 'model_args.depth is -1, wanted an integer in'],
  [
    'a depth of 2^53',
    { ...vit, model_args: { depth: 2 ** 53 } },
    {},
    'model_args.depth is 9007199254740992, wanted an integer in 1..1000',
  ],
  ['no hidden features', { ...vit, model_args: { mlp_ratio: 0 } }, {}, 'model_args.mlp_ratio is 0'],
  ['no classes', { ...vit, num_classes: 0 }, {}, 'num_classes is 0'],
  ['too few labels', { ...vit, label_names: ['a'] }, {}, 'label_names is ["a"], wanted 10 names'],
  ['an oblong input', vit, { input_size: [3, 224, 256] }, 'pretrained_cfg.input_size is [3,224,256]'],
  ['grey input', vit, { input_size: [1, 224, 224] }, 'pretrained_cfg.input_size is [1,224,224]'],
  ['another image size', { ...vit, model_args: { img_size: 240 } }, {}, 'wanted [3, 240, 240]'],
  ['another crop', vit, { crop_mode: 'border' }, 'pretrained_cfg.crop_mode is "border", wanted "center"'],
  ['a crop above 1', vit, { crop_pct: 1.5 }, 'pretrained_cfg.crop_pct is 1.5'],
  ['another filter', vit, { interpolation: 'random' }, 'pretrained_cfg.interpolation is "random"'],
  ['no mean', vit, { mean: null }, 'pretrained_cfg.mean is missing, wanted 3 numbers'],
  ['a deviation of 0', vit, { std: [0.2, 0, 0.2] }, 'pretrained_cfg.std is [0.2,0,0.2], wanted three positive numbers'],
])('refuses %s', (_what, fields, cfg, message) => {
  expect(() => parse(fields, cfg)).toThrow(FormatError);
  expect(() => parse(fields, cfg)).toThrow(message);
});

test('refuses what is not JSON, or not an object', () => {
  expect(() => parseConfig('{', 'a/config.json')).toThrow('a/config.json is not JSON');
  expect(() => parseConfig('[]', 'a/config.json')).toThrow('a/config.json: the document must be a JSON object');
});

/** The tiny golden model with its tensors changed by `edit`. */
async function load(edit: (tensors: Map<string, TensorToWrite>) => void): Promise<Model> {
  const bytes = await readFile(new URL('../golden/float/vit-plain.safetensors', import.meta.url));
  const file = parseSafetensors(bytes, 'vit-plain');
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, { dtype, shape, bytes: data }] of file.tensors) {
    if (!name.startsWith('golden.')) tensors.set(name, { name, dtype, shape, data });
  }
  edit(tensors);
  return loadModel({
    configJson: file.metadata['config'] as string,
    weights: writeSafetensors([...tensors.values()]),
    weightsFile: 'm.safetensors',
  });
}

function change(tensors: Map<string, TensorToWrite>, name: string, edit: Partial<TensorToWrite>): void {
  tensors.set(name, { ...(tensors.get(name) as TensorToWrite), ...edit });
}

test('keeps shapes, values and the hash of the file', async () => {
  const model = await load(() => undefined);
  expect(model.parameters.get('pos_embed')?.shape).toEqual([1, 10, 12]);
  expect(model.parameters.get('patch_embed.proj.weight')?.values).toHaveLength(12 * 48);
  expect(model.parameters.has('blocks.0.attn.qkv.bias')).toBe(false);
  expect(model.weightsSha256).toMatch(/^[0-9a-f]{64}$/);
  expect(model.config).toMatchObject({ architecture: 'vit_tiny_patch16_224' });
});

test.each(['model.', 'module.', 'module.model.'])('strips the prefix %s', async (prefix) => {
  const plain = await load(() => undefined);
  const wrapped = await load((tensors) => {
    for (const tensor of [...tensors.values()]) {
      tensors.delete(tensor.name);
      tensors.set(prefix + tensor.name, { ...tensor, name: prefix + tensor.name });
    }
  });
  expect(wrapped.parameters).toEqual(plain.parameters);
});

test('names a missing tensor with its shape, and ten of many with their count', async () => {
  await expect(load((t) => t.delete('blocks.1.mlp.fc1.weight'))).rejects.toThrow(
    'm.safetensors: missing tensor blocks.1.mlp.fc1.weight [30, 12].',
  );
  const many = load((t) =>
    [...t.keys()].filter((name) => name.startsWith('blocks.')).forEach((name) => t.delete(name)),
  );
  await expect(many).rejects.toThrow(/missing 22 tensors: (blocks\.\S+ \[[\d, ]+\], ){10}and 12 more\./);
  await expect(many).rejects.toThrow(FormatError);
});

test('names an unexpected tensor', async () => {
  const extra = { name: 'blocks.0.ls1.gamma', dtype: 'F32', shape: [2], data: new Float32Array(2) } as const;
  await expect(load((t) => t.set(extra.name, extra))).rejects.toThrow(
    'm.safetensors: unexpected tensor blocks.0.ls1.gamma [2].',
  );
});

test('names a misshapen tensor with the shape seen and the one expected', async () => {
  await expect(load((t) => change(t, 'head.weight', { shape: [12, 5] }))).rejects.toThrow(
    'm.safetensors: tensor "head.weight" has shape [12, 5], expected [5, 12]',
  );
  await expect(load((t) => change(t, 'cls_token', { shape: [12] }))).rejects.toThrow(
    'tensor "cls_token" has shape [12], expected [1, 1, 12]',
  );
});

test('names the tensor and the place of a value that is not finite, and a dtype that is no float', async () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const values = new Float32Array(12);
    values[7] = bad;
    await expect(load((t) => change(t, 'norm.weight', { data: values }))).rejects.toThrow(
      `m.safetensors: tensor "norm.weight" holds ${bad} at element 7 of 12`,
    );
  }
  const whole = { dtype: 'I32', data: new Int32Array(12) } as const;
  await expect(load((t) => change(t, 'norm.weight', whole))).rejects.toThrow('tensor "norm.weight" has dtype I32');
});

test('half floats load as their f32 values', async () => {
  const half = { dtype: 'F16', data: new Uint16Array(12).fill(0x3e00) } as const; // 1.5
  const model = await load((t) => change(t, 'norm.weight', half));
  expect(model.parameters.get('norm.weight')?.values).toEqual(new Float32Array(12).fill(1.5));
});
