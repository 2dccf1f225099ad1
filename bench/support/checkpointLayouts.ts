/** Small random models written as timm and Hugging Face write them, with names that are not read from src/model/layouts.ts. */
import type { TensorToWrite } from '../../src/io/safetensors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { parameterShapes } from '../../src/model/parameters.ts';

export const LAYOUTS = ['timm', 'timm, Swin before 0.9', 'Hugging Face', 'Hugging Face v5'] as const;
export type LayoutName = (typeof LAYOUTS)[number];

/** The files of one checkpoint. */
export interface CheckpointFiles {
  readonly config: unknown;
  /** `preprocessor_config.json`, which timm does not have. */
  readonly processor?: unknown;
  readonly tensors: readonly TensorToWrite[];
}

/** Random parameters of a config under their canonical names; gains of norms near 1, the rest about 0. */
export function randomTensors(config: ModelConfig, seed: number): TensorToWrite[] {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return [...parameterShapes(config)].map(([name, shape]) => {
    const isGain = /norm\w*\.weight$/.test(name);
    const size = shape.reduce((a, b) => a * b, 1);
    const spread = isGain || shape.length === 1 ? 0.2 : 1.7 / Math.sqrt(shape.slice(1).reduce((a, b) => a * b, 1));
    return {
      name,
      dtype: 'F32',
      shape,
      data: Float32Array.from({ length: size }, () => Number(isGain) + spread * next()),
    };
  });
}

/** Whether a checkpoint of this config exists in the layout; Hugging Face has no class for the variants of timm's ViT. */
export function existsIn(config: ModelConfig, layout: LayoutName): boolean {
  if (config.family === 'swin') return true;
  if (layout === 'timm, Swin before 0.9') return false;
  if (layout === 'timm') return true;
  return !(config.fcNorm || config.qkNorm || config.layerScale || config.globalPool === 'avg');
}

/** The checkpoint of a config and its parameters in a layout. */
export function inLayout(config: ModelConfig, tensors: readonly TensorToWrite[], layout: LayoutName): CheckpointFiles {
  if (layout === 'Hugging Face' || layout === 'Hugging Face v5') {
    const isNew = layout === 'Hugging Face v5';
    const renamed = tensors.flatMap((tensor) => hubTensors(config, tensor, isNew));
    const buffers = config.family === 'swin' && !isNew ? windowIndices(config, 'hub') : [];
    return { config: hubConfig(config), processor: hubProcessor(config), tensors: [...renamed, ...buffers] };
  }
  const isOld = layout !== 'timm';
  const renamed = tensors.map((tensor) => ({
    ...tensor,
    name: isOld ? tensor.name : newTimmName(config, tensor.name),
  }));
  const buffers = config.family === 'swin' && isOld ? windowIndices(config, 'timm') : [];
  return { config: timmConfig(config), tensors: [...renamed, ...buffers] };
}

/** timm from 0.9 on merges patches at the beginning of a stage and calls the head of a Swin `head.fc`. */
function newTimmName(config: ModelConfig, name: string): string {
  if (config.family === 'vit') return name;
  return name
    .replace(/^layers\.(\d+)\.downsample/, (_, stage: string) => `layers.${Number(stage) + 1}.downsample`)
    .replace(/^head\./, 'head.fc.');
}

/** The buffer that files of the time hold beside the parameters: 64-bit integers, which nothing reads. */
function windowIndices(config: ModelConfig, world: 'timm' | 'hub'): TensorToWrite[] {
  const prefix = world === 'timm' ? 'layers.0.blocks.0.attn' : 'swin.encoder.layers.0.blocks.0.attention.self';
  const tokens = config.family === 'swin' ? config.windowSize ** 2 : 0;
  const data = new BigInt64Array(tokens * tokens);
  return [{ name: `${prefix}.relative_position_index`, dtype: 'I64', shape: [tokens, tokens], data }];
}

const THIRDS = {
  legacy: { vit: 'attention.attention', swin: 'attention.self', names: ['query', 'key', 'value'] },
  new: { vit: 'attention', swin: 'attention', names: ['q_proj', 'k_proj', 'v_proj'] },
};

function hubTensors(config: ModelConfig, tensor: TensorToWrite, isNew: boolean): TensorToWrite[] {
  const name = hubName(config, tensor.name, isNew);
  if (!name.includes('.qkv.')) return [{ ...tensor, name }];
  const { names, [config.family]: attention } = THIRDS[isNew ? 'new' : 'legacy'];
  const values = tensor.data as Float32Array;
  const length = values.length / 3;
  const shape = [(tensor.shape[0] as number) / 3, ...tensor.shape.slice(1)];
  return names.map((part, i) => ({
    ...{ dtype: tensor.dtype, shape, data: values.slice(i * length, (i + 1) * length) },
    name: name.replace('.qkv.', `.${attention}.${part}.`),
  }));
}

function hubName(config: ModelConfig, name: string, isNew: boolean): string {
  const isVit = config.family === 'vit';
  const isDistilled = isVit && config.distilled;
  const isDeit = isVit && config.prefixTokens === 2;
  if (name.startsWith('head_dist')) return name.replace('head_dist', 'distillation_classifier');
  if (name.startsWith('head')) return name.replace('head', isDistilled ? 'cls_classifier' : 'classifier');
  const base = isVit ? (isDeit ? 'deit.' : 'vit.') : 'swin.';
  const renamed = name
    .replace(/^norm\./, 'layernorm.')
    .replace(/^cls_token/, 'embeddings.cls_token')
    .replace(/^(dist|reg)_token/, 'embeddings.distillation_token')
    .replace(/^(absolute_)?pos_embed/, 'embeddings.position_embeddings')
    .replace(/^patch_embed\.proj/, 'embeddings.patch_embeddings.projection')
    .replace(/^patch_embed\.norm/, 'embeddings.norm')
    .replace(/^blocks\./, isNew ? 'layers.' : 'encoder.layer.')
    .replace(/^layers\.(\d+\.(blocks|downsample))/, 'encoder.layers.$1')
    .replace('.norm1.', '.layernorm_before.')
    .replace('.norm2.', '.layernorm_after.')
    .replace('.attn.qkv.', '.qkv.');
  const block = isNew
    ? renamed
        .replace('.attn.proj.', '.attention.o_proj.')
        .replace('.attn.relative', '.attention.relative_position_bias.relative')
    : renamed
        .replace('.attn.proj.', '.attention.output.dense.')
        .replace('.attn.relative', '.attention.self.relative')
        .replace('.mlp.fc1.', '.intermediate.dense.')
        .replace('.mlp.fc2.', '.output.dense.');
  return base + block;
}

function timmConfig(config: ModelConfig): unknown {
  const { imageSize, numClasses, preprocessing, labels } = config;
  const { interpolation, mean, std } = preprocessing;
  const shared = { img_size: imageSize, patch_size: config.patchSize, qkv_bias: config.qkvBias };
  const args =
    config.family === 'swin'
      ? {
          ...{ ...shared, embed_dim: config.embedDim, depths: config.depths, num_heads: config.heads },
          ...{ window_size: config.windowSize, mlp_ratio: config.hiddenRatio },
          ...{ patch_norm: config.patchNorm, ape: config.absolutePosition },
        }
      : {
          ...{ ...shared, embed_dim: config.embedDim, depth: config.depth, num_heads: config.heads },
          mlp_ratio: config.hiddenDim / config.embedDim,
          ...(config.layerScale ? { init_values: 1e-5 } : {}),
          ...(config.qkNorm ? { qk_norm: true } : {}),
          ...(config.registerTokens > 0 ? { reg_tokens: config.registerTokens } : {}),
          ...(config.embedPrefix ? {} : { no_embed_class: true }),
          ...(config.classToken ? {} : { class_token: false }),
          ...(config.globalPool === 'avg' ? { global_pool: 'avg', fc_norm: config.fcNorm } : {}),
        };
  const architecture =
    config.family === 'swin'
      ? 'swin_tiny_patch4_window7_224'
      : config.distilled
        ? 'deit_tiny_distilled_patch16_224'
        : 'vit_tiny_patch16_224';
  return {
    ...{ architecture, num_classes: numClasses, model_args: args, ...(labels ? { label_names: labels } : {}) },
    pretrained_cfg: {
      ...{ input_size: [3, imageSize, imageSize], interpolation, crop_pct: 1, crop_mode: 'squash' },
      ...{ mean, std },
    },
  };
}

function hubConfig(config: ModelConfig): unknown {
  const shared = {
    ...{ image_size: config.imageSize, patch_size: config.patchSize, num_channels: 3, qkv_bias: config.qkvBias },
    ...{ hidden_act: 'gelu', layer_norm_eps: config.layerNormEpsilon },
    id2label: Object.fromEntries((config.labels ?? names(config.numClasses)).map((label, i) => [i, label])),
  };
  if (config.family === 'swin') {
    return {
      ...{ ...shared, model_type: 'swin', architectures: ['SwinForImageClassification'], embed_dim: config.embedDim },
      ...{ depths: config.depths, num_heads: config.heads, window_size: config.windowSize },
      ...{ mlp_ratio: config.hiddenRatio, use_absolute_embeddings: config.absolutePosition },
    };
  }
  const isDeit = config.prefixTokens === 2;
  const name = isDeit ? 'DeiTForImageClassification' : 'ViTForImageClassification';
  return {
    ...{ ...shared, model_type: isDeit ? 'deit' : 'vit' },
    architectures: [config.distilled ? `${name}WithTeacher` : name],
    ...{ hidden_size: config.embedDim, num_hidden_layers: config.depth, num_attention_heads: config.heads },
    intermediate_size: config.hiddenDim,
  };
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `LABEL_${i}`);
}

function hubProcessor({ imageSize, preprocessing }: ModelConfig): unknown {
  return {
    ...{ image_processor_type: 'ViTImageProcessor', do_resize: true, size: { height: imageSize, width: imageSize } },
    resample: ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'].indexOf(preprocessing.interpolation),
    ...{ do_rescale: true, rescale_factor: preprocessing.rescale, do_normalize: true },
    ...{ image_mean: preprocessing.mean, image_std: preprocessing.std },
  };
}
