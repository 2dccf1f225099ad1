import { FormatError } from '../io/errors.ts';
import { timmResizeSize, type Preprocessing } from '../io/preprocess.ts';
import type { ModelConfig } from './config.ts';
import { JsonFields } from './jsonFields.ts';

const widths: Readonly<Record<string, { embedDim: number; depth: number; heads: number }>> = {
  tiny: { embedDim: 192, depth: 12, heads: 3 },
  small: { embedDim: 384, depth: 12, heads: 6 },
  base: { embedDim: 768, depth: 12, heads: 12 },
};

const architecturePattern = /^(?:vit|deit)_(tiny|small|base)(_distilled)?_patch(8|16|32)_(?:224|384)(?:_in21k)?$/;

/** Arguments of timm's constructor that change nothing at inference. */
const trainingArguments = new Set(['drop_rate', 'attn_drop_rate', 'drop_path_rate', 'pos_drop_rate', 'weight_init']);

/**
 * Reads a timm `config.json`: architecture by name, sizes overridden by `model_args`, preprocessing from `pretrained_cfg`.
 *
 * @throws FormatError naming the file, the field and the value seen
 */
export function readTimmConfig(top: JsonFields): ModelConfig {
  const architecture = top.text('architecture');
  const match = architecturePattern.exec(architecture.split('.')[0] as string);
  const distilled = match?.[2] !== undefined;
  if (!match || (distilled && !architecture.startsWith('deit'))) {
    throw top.wrong(
      'architecture',
      'vit_ or deit_ tiny, small or base with patch8, patch16 or patch32, deit also _distilled',
    );
  }
  if (top.has('global_pool') && top.text('global_pool') !== 'token') throw top.wrong('global_pool', '"token"');
  const width = widths[match[1] as string] as { embedDim: number; depth: number; heads: number };
  const args = top.has('model_args') ? top.object('model_args') : new JsonFields({}, top.file, 'model_args.');
  args.allow(
    ['patch_size', 'embed_dim', 'depth', 'num_heads', 'img_size', 'mlp_ratio', 'qkv_bias', 'num_classes'],
    trainingArguments,
  );
  const pretrained = top.has('pretrained_cfg') ? top.object('pretrained_cfg') : top;
  const imageSize = readImageSize(args, pretrained);
  const patchSize = args.count('patch_size', Number(match[3]));
  if (imageSize % patchSize !== 0) {
    throw new FormatError(`${top.file}: patch size ${patchSize} does not divide the image size ${imageSize}`);
  }
  const embedDim = args.count('embed_dim', width.embedDim);
  const heads = args.count('num_heads', width.heads);
  if (embedDim % heads !== 0) {
    throw new FormatError(`${top.file}: ${heads} heads do not divide the embedding of ${embedDim} features`);
  }
  const hiddenDim = Math.trunc(embedDim * (args.has('mlp_ratio') ? args.number('mlp_ratio') : 4));
  if (hiddenDim < 1) throw args.wrong('mlp_ratio', 'a positive number');
  const numClasses = args.count('num_classes', top.count('num_classes', pretrained.count('num_classes', 1000)));
  const labels = readLabels([top, pretrained], numClasses);
  return {
    family: 'vit',
    architecture,
    imageSize,
    patchSize,
    embedDim,
    depth: args.count('depth', width.depth, 1000),
    heads,
    hiddenDim,
    numClasses,
    prefixTokens: distilled ? 2 : 1,
    classToken: true,
    distilled,
    registerTokens: 0,
    embedPrefix: true,
    globalPool: 'token',
    fcNorm: false,
    qkNorm: false,
    layerScale: false,
    qkvBias: args.has('qkv_bias') ? args.flag('qkv_bias') : true,
    layerNormEpsilon: 1e-6,
    preprocessing: readPreprocessing(pretrained, imageSize),
    ...(labels ? { labels } : {}),
  };
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
  if (fields.has('crop_mode') && fields.text('crop_mode') !== 'center') throw fields.wrong('crop_mode', '"center"');
  const cropPct = fields.number('crop_pct');
  if (!(cropPct > 0 && cropPct <= 1)) throw fields.wrong('crop_pct', 'a number in (0, 1]');
  const std = fields.numbers('std', 3);
  if (!std.every((s) => s > 0)) throw fields.wrong('std', 'three positive numbers');
  return {
    width: imageSize,
    height: imageSize,
    resizeShortestEdge: timmResizeSize(imageSize, cropPct),
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
