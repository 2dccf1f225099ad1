import { timmResizeSize, type Preprocessing } from '../io/preprocess.ts';
import type { ModelConfig, SwinConfig, VitConfig } from './config.ts';
import { checkedSizes } from './configChecks.ts';
import { JsonFields } from './jsonFields.ts';
import { swinArchitecture, vitArchitecture, type SwinArchitecture, type VitArchitecture } from './timmArchitectures.ts';

/** Arguments of timm's constructors that change nothing at inference, or nothing for the one size of the input. */
const unread = new Set([
  ...['drop_rate', 'attn_drop_rate', 'drop_path_rate', 'pos_drop_rate', 'proj_drop_rate', 'patch_drop_rate'],
  ...['weight_init', 'dynamic_img_size', 'dynamic_img_pad', 'strict_img_size', 'in_chans'],
]);
const sizeArguments = ['patch_size', 'embed_dim', 'num_heads', 'img_size', 'mlp_ratio', 'qkv_bias', 'num_classes'];
const vitArguments = ['depth', 'global_pool', 'class_token', 'no_embed_class', 'reg_tokens', 'init_values', 'fc_norm'];

/**
 * Reads a timm `config.json`: architecture by name, sizes overridden by `model_args`, preprocessing from `pretrained_cfg`.
 *
 * @throws FormatError naming the file, the field and the value seen
 */
export function readTimmConfig(top: JsonFields): ModelConfig {
  const name = top.text('architecture').split('.')[0] as string;
  const vit = vitArchitecture(name);
  if (vit) return readVit(top, vit);
  const swin = swinArchitecture(name);
  if (swin) return readSwin(top, swin);
  throw top.wrong(
    'architecture',
    'a ViT, DeiT (1 or 3) or Swin (1) of timm such as vit_base_patch16_224, deit_tiny_distilled_patch16_224, ' +
      'vit_medium_patch16_reg4_gap_256 or swin_small_patch4_window7_224',
  );
}

function readVit(top: JsonFields, defaults: VitArchitecture): VitConfig {
  const args = readArguments(top, [...sizeArguments, ...vitArguments, 'qk_norm']);
  const distilled = defaults.distilled ?? false;
  const flag = (name: string, fallback: boolean) => (args.has(name) ? args.flag(name) : fallback);
  const embedDim = args.count('embed_dim', defaults.embedDim);
  const globalPool = args.has('global_pool') ? args.word('global_pool', POOLS) : (defaults.globalPool ?? 'token');
  if (top.has('global_pool') && top.text('global_pool') !== globalPool)
    throw top.wrong('global_pool', `"${globalPool}"`);
  const classToken = flag('class_token', defaults.classToken ?? true);
  if (globalPool === 'token' && !classToken)
    throw args.wrong('class_token', 'true where the head reads the class token');
  const none = args.has('reg_tokens') && args.value('reg_tokens') === 0;
  const registerTokens = none ? 0 : args.count('reg_tokens', defaults.registerTokens ?? 0, 1000);
  return checkedSizes(
    {
      family: 'vit',
      ...readCommon(top, args, defaults),
      embedDim,
      depth: args.count('depth', defaults.depth, 1000),
      heads: args.count('num_heads', defaults.heads),
      hiddenDim: Math.trunc(embedDim * readRatio(args, defaults.hiddenRatio)),
      prefixTokens: Number(classToken) + Number(distilled) + registerTokens,
      classToken,
      distilled,
      registerTokens,
      embedPrefix: !flag('no_embed_class', defaults.embedPrefix === false),
      globalPool,
      fcNorm: flag('fc_norm', defaults.fcNorm ?? globalPool === 'avg'),
      qkNorm: flag('qk_norm', false),
      layerScale: args.has('init_values') ? args.number('init_values') !== 0 : (defaults.layerScale ?? false),
      layerNormEpsilon: 1e-6,
    },
    top.file,
  );
}

const POOLS = ['token', 'avg'] as const;

function readSwin(top: JsonFields, defaults: SwinArchitecture): SwinConfig {
  const args = readArguments(top, [...sizeArguments, 'depths', 'window_size', 'ape', 'patch_norm']);
  if (top.has('global_pool') && top.text('global_pool') !== 'avg') throw top.wrong('global_pool', '"avg"');
  return checkedSizes(
    {
      family: 'swin',
      ...readCommon(top, args, defaults),
      embedDim: args.count('embed_dim', defaults.embedDim),
      depths: args.has('depths') ? args.sizes('depths', 1000) : defaults.depths,
      heads: args.has('num_heads') ? args.sizes('num_heads') : defaults.heads,
      windowSize: args.count('window_size', defaults.windowSize),
      hiddenRatio: readRatio(args, 4),
      patchNorm: args.has('patch_norm') ? args.flag('patch_norm') : true,
      absolutePosition: args.has('ape') && args.flag('ape'),
      layerNormEpsilon: 1e-5,
    },
    top.file,
  );
}

function readArguments(top: JsonFields, known: readonly string[]): JsonFields {
  const args = top.has('model_args') ? top.object('model_args') : new JsonFields({}, top.file, 'model_args.');
  args.allow(known, unread);
  if (args.has('in_chans') && args.value('in_chans') !== 3) throw args.wrong('in_chans', '3');
  return args;
}

function readCommon(top: JsonFields, args: JsonFields, defaults: { patchSize: number; qkvBias?: boolean }) {
  const pretrained = top.has('pretrained_cfg') ? top.object('pretrained_cfg') : top;
  const imageSize = readImageSize(args, pretrained);
  const numClasses = args.count('num_classes', top.count('num_classes', pretrained.count('num_classes', 1000)));
  const labels = readLabels([top, pretrained], numClasses);
  return {
    architecture: top.text('architecture'),
    imageSize,
    patchSize: args.count('patch_size', defaults.patchSize),
    numClasses,
    qkvBias: args.has('qkv_bias') ? args.flag('qkv_bias') : (defaults.qkvBias ?? true),
    preprocessing: readPreprocessing(pretrained, imageSize),
    ...(labels ? { labels } : {}),
  };
}

/** Features between fc1 and fc2 over those of a token. */
function readRatio(args: JsonFields, fallback = 4): number {
  return args.has('mlp_ratio') ? args.positive('mlp_ratio') : fallback;
}

function readImageSize(args: JsonFields, pretrained: JsonFields): number {
  const [channels, height, width] = pretrained.numbers('input_size', 3) as [number, number, number];
  const imageSize = args.count('img_size', height);
  if (channels !== 3 || height !== width || height !== imageSize) {
    throw pretrained.wrong('input_size', `[3, ${imageSize}, ${imageSize}], square and as model_args.img_size`);
  }
  return imageSize;
}

function readPreprocessing(fields: JsonFields, imageSize: number): Preprocessing {
  const interpolation = fields.text('interpolation');
  if (interpolation !== 'bicubic' && interpolation !== 'bilinear') {
    throw fields.wrong('interpolation', '"bicubic" or "bilinear"');
  }
  const cropMode = fields.has('crop_mode') ? fields.text('crop_mode') : 'center';
  if (cropMode !== 'center' && cropMode !== 'squash') throw fields.wrong('crop_mode', '"center" or "squash"');
  const cropPct = fields.number('crop_pct');
  if (!(cropPct > 0 && cropPct <= 1)) throw fields.wrong('crop_pct', 'a number in (0, 1]');
  const std = fields.numbers('std', 3);
  if (!std.every((s) => s > 0)) throw fields.wrong('std', 'three positive numbers');
  const resized = timmResizeSize(imageSize, cropPct);
  return {
    width: imageSize,
    height: imageSize,
    resizeShortestEdge: cropMode === 'squash' ? { width: resized, height: resized } : resized,
    interpolation,
    cropRounding: 'half-even',
    rescale: 1 / 255,
    mean: fields.numbers('mean', 3) as [number, number, number],
    std: std as [number, number, number],
  };
}

/** timm writes them at the top, and keeps them in `pretrained_cfg` of a model that is loaded. */
function readLabels(places: readonly JsonFields[], numClasses: number): readonly string[] | undefined {
  const fields = places.find((place) => place.has('label_names'));
  if (!fields) return undefined;
  const labels = fields.value('label_names');
  if (!Array.isArray(labels) || labels.length !== numClasses || !labels.every((l) => typeof l === 'string')) {
    throw fields.wrong('label_names', `${numClasses} names`);
  }
  return labels;
}
