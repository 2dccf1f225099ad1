import { buildBlock, linear, patchEmbedding } from './block.ts';
import type { VitConfig } from './config.ts';
import type { LayerNormOperation, Network, Operation, Unit } from './graph.ts';

/** A ViT or DeiT (plain or distilled) as data: units `embed`, `blocks.0` ..., `head`. */
export function buildVit(config: VitConfig): Network {
  const { embedDim: features, heads, hiddenDim, qkvBias, qkNorm, layerNormEpsilon } = config;
  const shape = { rows: tokenCount(config), features, heads, hiddenDim, qkvBias, qkNorm, layerNormEpsilon };
  const blocks = Array.from({ length: config.depth }, (_, i) => buildBlock(`blocks.${i}`, shape));
  return { units: [buildEmbed(config), ...blocks, buildHead(config)], numClasses: config.numClasses };
}

/** Parameters of the tokens before the patches, each `[features]`; registers are numbered rows of `reg_token`. */
export function prefixNames({ classToken, distilled, registerTokens }: VitConfig): string[] {
  return [
    ...(classToken ? ['cls_token'] : []),
    ...(distilled ? ['dist_token'] : []),
    ...Array.from({ length: registerTokens }, (_, i) => `reg_token.${i}`),
  ];
}

function patchCount({ imageSize, patchSize }: VitConfig): number {
  return (imageSize / patchSize) ** 2;
}

function tokenCount(config: VitConfig): number {
  return config.prefixTokens + patchCount(config);
}

/** `patches` (see patches.ts) to tokens with prefix and position. */
function buildEmbed(config: VitConfig): Unit {
  const { embedDim, patchSize } = config;
  const rows = patchCount(config);
  const pixels = 3 * patchSize * patchSize;
  return {
    name: 'embed',
    input: 'patches',
    output: 'y',
    elements: { patches: rows * pixels, patch_embed: rows * embedDim, y: tokenCount(config) * embedDim },
    operations: [
      patchEmbedding(rows, patchSize, embedDim),
      {
        ...{ kind: 'tokens', input: 'patch_embed', output: 'y', prefix: prefixNames(config), position: 'pos_embed' },
        ...{ rows, features: embedDim },
      },
    ],
  };
}

/** Class token or mean of the patches to logits; a distilled model averages the logits of its two tokens. */
function buildHead(config: VitConfig): Unit {
  if (config.distilled) return buildTwoHeads(config);
  const { embedDim, numClasses } = config;
  const stream = tokenCount(config) * embedDim;
  const normFirst = config.globalPool === 'avg' && !config.fcNorm;
  const classify = linear('head', normFirst ? 'token' : 'norm', 'logits', 1, embedDim, numClasses);
  const operations = normFirst
    ? [norm(config, 'x', 'norm', tokenCount(config)), pool(config, 'norm', 'token'), classify]
    : [pool(config, 'x', 'token'), norm(config, 'token', 'norm', 1), classify];
  const elements = { x: stream, token: embedDim, norm: normFirst ? stream : embedDim, logits: numClasses };
  return { name: 'head', input: 'x', output: 'logits', elements, operations };
}

function buildTwoHeads(config: VitConfig): Unit {
  const { embedDim, numClasses } = config;
  return {
    name: 'head',
    input: 'x',
    output: 'logits',
    elements: {
      x: tokenCount(config) * embedDim,
      token: embedDim,
      norm: embedDim,
      head: numClasses,
      dist_token: embedDim,
      dist_norm: embedDim,
      head_dist: numClasses,
      logits: numClasses,
    },
    operations: [
      pick(config, 0, 'token'),
      norm(config, 'token', 'norm', 1),
      linear('head', 'norm', 'head', 1, embedDim, numClasses),
      pick(config, 1, 'dist_token'),
      norm(config, 'dist_token', 'dist_norm', 1),
      linear('head_dist', 'dist_norm', 'head_dist', 1, embedDim, numClasses),
      { kind: 'add', a: 'head', b: 'head_dist', output: 'logits', count: numClasses, scale: 0.5 },
    ],
  };
}

function pool(config: VitConfig, input: string, output: string): Operation {
  if (config.globalPool === 'token') return pick(config, 0, output); // the norm works row by row: it may come after
  const { prefixTokens: first, embedDim: features } = config;
  return { kind: 'meanRows', input, output, first, rows: tokenCount(config), features };
}

function pick(config: VitConfig, row: number, output: string): Operation {
  return {
    kind: 'gatherRows',
    input: 'x',
    output,
    indices: [row],
    rows: tokenCount(config),
    features: config.embedDim,
  };
}

function norm(config: VitConfig, input: string, output: string, rows: number): LayerNormOperation {
  const { embedDim: features, layerNormEpsilon: epsilon, fcNorm } = config;
  return { kind: 'layerNorm', name: fcNorm ? 'fc_norm' : 'norm', input, output, rows, features, epsilon };
}
