import { FormatError } from '../io/errors.ts';
import type { ModelConfig, SwinConfig, VitConfig } from './config.ts';
import { checkedSizes } from './configChecks.ts';
import { readHubProcessor } from './hubProcessor.ts';
import type { JsonFields } from './jsonFields.ts';
import { architectureName } from './storedConfig.ts';

const DISTILLED = 'DeiTForImageClassificationWithTeacher';

/**
 * Reads a Hugging Face `config.json` of `model_type` vit, deit or swin, with the defaults of `ViTConfig`, `DeiTConfig` and `SwinConfig`
 * for absent keys, and its `preprocessor_config.json`.
 *
 * @throws FormatError naming the file, the field and the value seen
 */
export function readHubConfig(top: JsonFields, processor: JsonFields | undefined): ModelConfig {
  const type = top.word('model_type', ['vit', 'deit', 'swin']);
  if (!processor) {
    throw new FormatError(
      `${top.file} is one of Hugging Face, which says nothing about images: preprocessor_config.json is missing beside it`,
    );
  }
  // gelu_python is the same function; gelu_new, gelu_fast and quick_gelu are approximations with other values
  if (top.has('hidden_act')) top.word('hidden_act', ['gelu', 'gelu_python']);
  if (top.count('num_channels', 3) !== 3) throw top.wrong('num_channels', '3');
  const imageSize = top.count('image_size', 224);
  const labels = readLabels(top);
  const common = {
    architecture: '',
    imageSize,
    patchSize: top.count('patch_size', type === 'swin' ? 4 : 16),
    numClasses: labels?.length ?? top.count('num_labels', 2),
    qkvBias: top.has('qkv_bias') ? top.flag('qkv_bias') : true,
    layerNormEpsilon: top.has('layer_norm_eps') ? top.positive('layer_norm_eps') : type === 'swin' ? 1e-5 : 1e-12,
    preprocessing: readHubProcessor(processor, type, imageSize),
    ...(labels && !labels.every((label, i) => label === `LABEL_${i}`) ? { labels } : {}),
  };
  const config = type === 'swin' ? readSwin(top, common) : readVit(top, common, type === 'deit');
  return checkedSizes({ ...config, architecture: architectureName(config) }, top.file);
}

type Common = Pick<
  ModelConfig,
  | 'architecture'
  | 'imageSize'
  | 'patchSize'
  | 'numClasses'
  | 'qkvBias'
  | 'layerNormEpsilon'
  | 'preprocessing'
  | 'labels'
>;

function readVit(top: JsonFields, common: Common, isDeit: boolean): VitConfig {
  const embedDim = top.count('hidden_size', 768);
  const distilled = isDeit && readDeitClass(top) === DISTILLED;
  // the distillation token of a DeiT whose one head reads the class token is nothing but a register
  const registerTokens = isDeit && !distilled ? 1 : 0;
  return {
    ...common,
    family: 'vit',
    embedDim,
    depth: top.count('num_hidden_layers', 12, 1000),
    heads: top.count('num_attention_heads', 12),
    hiddenDim: top.count('intermediate_size', 3072),
    prefixTokens: isDeit ? 2 : 1,
    classToken: true,
    distilled,
    registerTokens,
    embedPrefix: true,
    globalPool: 'token',
    fcNorm: false,
    qkNorm: false,
    layerScale: false,
  };
}

/** Which heads a DeiT has is in no other key. */
function readDeitClass(top: JsonFields): string {
  const names = top.value('architectures');
  const name: unknown = Array.isArray(names) ? names[0] : undefined;
  if (name !== DISTILLED && name !== 'DeiTForImageClassification') {
    throw top.wrong('architectures', `["${DISTILLED}"] or ["DeiTForImageClassification"]`);
  }
  return name;
}

function readSwin(top: JsonFields, common: Common): SwinConfig {
  // SwinEmbeddings and SwinPatchMerging take PyTorch's own epsilon, whatever the config says
  if (common.layerNormEpsilon !== 1e-5) {
    throw top.wrong('layer_norm_eps', '0.00001, which the norms of patches have in any case');
  }
  return {
    ...common,
    family: 'swin',
    embedDim: top.count('embed_dim', 96),
    depths: top.has('depths') ? top.sizes('depths', 1000) : [2, 2, 6, 2],
    heads: top.has('num_heads') ? top.sizes('num_heads') : [3, 6, 12, 24],
    windowSize: top.count('window_size', 7),
    hiddenRatio: top.has('mlp_ratio') ? top.positive('mlp_ratio') : 4,
    patchNorm: true,
    absolutePosition: top.has('use_absolute_embeddings') ? top.flag('use_absolute_embeddings') : false,
  };
}

/** Names by class from `id2label`, whose keys are 0, 1 ... in any order. */
function readLabels(top: JsonFields): string[] | undefined {
  if (!top.has('id2label')) return undefined;
  const names = top.object('id2label');
  const labels = names.keys().map((_, i) => names.text(String(i)));
  if (labels.length === 0) throw top.wrong('id2label', 'a name for each class');
  return labels;
}
