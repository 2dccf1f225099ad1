import type { Preprocessing } from '../io/preprocess.ts';
import type { ModelConfig, SwinConfig, VitConfig } from './config.ts';
import { checkedSizes } from './configChecks.ts';
import type { JsonFields } from './jsonFields.ts';

/** Names of usual sizes in those of architectures: features, blocks and heads. */
const vitSizes: Readonly<Record<string, string>> = {
  '192,12,3': 'tiny',
  '384,12,6': 'small',
  '768,12,12': 'base',
  '1024,24,16': 'large',
  '1280,32,16': 'huge',
};
const swinSizes: Readonly<Record<string, string>> = {
  '96,2,2,6,2,3,6,12,24': 'tiny',
  '96,2,2,18,2,3,6,12,24': 'small',
  '128,2,2,18,2,4,8,16,32': 'base',
  '192,2,2,18,2,6,12,24,48': 'large',
};

/** The name of an architecture by its sizes, as timm writes it: `vit_tiny_patch16_224`; `vit_64x6_...` has 64 features and 6 blocks. */
export function architectureName(config: Omit<VitConfig, 'architecture'> | Omit<SwinConfig, 'architecture'>): string {
  const { imageSize, patchSize, embedDim } = config;
  if (config.family === 'swin') {
    const size = swinSizes[[embedDim, ...config.depths, ...config.heads].join()];
    return `swin_${size ?? `${embedDim}x${config.depths.join('-')}`}_patch${patchSize}_window${config.windowSize}_${imageSize}`;
  }
  const size = vitSizes[[embedDim, config.depth, config.heads].join()] ?? `${embedDim}x${config.depth}`;
  const name = config.distilled ? `deit_${size}_distilled` : `vit_${size}`;
  return `${name}_patch${patchSize}_${imageSize}`;
}

/** The config as a recipe keeps it: the same for all layouts of one checkpoint, and named by its sizes. */
export function storedConfig(config: ModelConfig): ModelConfig {
  const { architecture: _, labels, preprocessing, ...sizes } = config;
  const ordered = Object.fromEntries(Object.entries(sizes).sort(([a], [b]) => (a < b ? -1 : 1))) as typeof sizes;
  const { width, height, resizeShortestEdge, interpolation, cropRounding, rescale, mean, std } = preprocessing;
  return {
    ...{ ...ordered, architecture: architectureName(config) },
    preprocessing: { width, height, resizeShortestEdge, interpolation, cropRounding, rescale, mean, std },
    ...(labels ? { labels } : {}),
  };
}

/**
 * Reads what `storedConfig` gave.
 *
 * @throws FormatError naming the file, the field and the value seen
 */
export function readStoredConfig(top: JsonFields): ModelConfig {
  const numClasses = top.size('numClasses');
  const common = {
    architecture: top.text('architecture'),
    imageSize: top.size('imageSize'),
    patchSize: top.size('patchSize'),
    embedDim: top.size('embedDim'),
    numClasses,
    qkvBias: top.flag('qkvBias'),
    layerNormEpsilon: top.positive('layerNormEpsilon'),
    preprocessing: readPreprocessing(top.object('preprocessing')),
    ...(top.has('labels') ? { labels: top.texts('labels', numClasses) } : {}),
  };
  if (top.word('family', ['vit', 'swin']) === 'swin') {
    const swin: SwinConfig = {
      ...common,
      family: 'swin',
      depths: top.sizes('depths', 1000),
      heads: top.sizes('heads'),
      windowSize: top.size('windowSize'),
      hiddenRatio: top.positive('hiddenRatio'),
      patchNorm: top.flag('patchNorm'),
      absolutePosition: top.flag('absolutePosition'),
    };
    return checkedSizes(swin, top.file);
  }
  const registerTokens =
    top.has('registerTokens') && top.value('registerTokens') !== 0 ? top.size('registerTokens') : 0;
  const classToken = top.flag('classToken');
  const distilled = top.flag('distilled');
  const vit: VitConfig = {
    ...common,
    family: 'vit',
    depth: top.size('depth', 1000),
    heads: top.size('heads'),
    hiddenDim: top.size('hiddenDim'),
    prefixTokens: Number(classToken) + Number(distilled) + registerTokens,
    classToken,
    distilled,
    registerTokens,
    embedPrefix: top.flag('embedPrefix'),
    globalPool: top.word('globalPool', ['token', 'avg']),
    fcNorm: top.flag('fcNorm'),
    qkNorm: top.flag('qkNorm'),
    layerScale: top.flag('layerScale'),
  };
  return checkedSizes(vit, top.file);
}

function readPreprocessing(fields: JsonFields): Preprocessing {
  const edge = fields.value('resizeShortestEdge');
  const exact = typeof edge === 'number' ? undefined : fields.object('resizeShortestEdge');
  const std = fields.numbers('std', 3) as [number, number, number];
  if (!std.every((value) => value > 0)) throw fields.wrong('std', 'three positive numbers');
  return {
    width: fields.size('width'),
    height: fields.size('height'),
    resizeShortestEdge: exact
      ? { width: exact.size('width'), height: exact.size('height') }
      : fields.size('resizeShortestEdge'),
    interpolation: fields.word('interpolation', ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming']),
    cropRounding: fields.word('cropRounding', ['half-even', 'floor']),
    rescale: fields.positive('rescale'),
    mean: fields.numbers('mean', 3) as [number, number, number],
    std,
  };
}
