import { buildBlock, linear, patchEmbedding } from './block.ts';
import type { SwinConfig } from './config.ts';
import type { Network, Operation, Unit } from './graph.ts';
import { cutIntoWindows, mergedRows, relativePositions, windowSide, type Windows } from './windows.ts';

/** A Swin Transformer as data: units `embed`, `layers.0.blocks.0` ..., `layers.0.downsample` ..., `head`. */
export function buildSwin(config: SwinConfig): Network {
  const stages = swinStages(config);
  const units = stages.flatMap((stage, s) => [
    ...buildStage(config, stage, `layers.${s}`),
    ...(s < stages.length - 1 ? [buildDownsample(config, stage, `layers.${s}.downsample`)] : []),
  ]);
  const last = stages.at(-1) as SwinStage;
  return { units: [buildEmbed(config), ...units, buildHead(config, last)], numClasses: config.numClasses };
}

export interface SwinStage {
  /** Side of the square of tokens. */
  readonly resolution: number;
  readonly features: number;
  readonly depth: number;
  readonly heads: number;
  /** Side of its windows. */
  readonly side: number;
}

/** Each stage halves the resolution (rounded up) of the one before and doubles its features. */
export function swinStages({ imageSize, patchSize, embedDim, depths, heads, windowSize }: SwinConfig): SwinStage[] {
  let resolution = imageSize / patchSize;
  return depths.map((depth, s) => {
    if (s > 0) resolution = Math.ceil(resolution / 2);
    const side = windowSide(resolution, windowSize);
    return { resolution, features: embedDim * 2 ** s, depth, heads: heads[s] as number, side };
  });
}

function buildEmbed({ imageSize, patchSize, embedDim, patchNorm, absolutePosition, ...config }: SwinConfig): Unit {
  const rows = (imageSize / patchSize) ** 2;
  const stream = rows * embedDim;
  const operations: Operation[] = [patchEmbedding(rows, patchSize, embedDim)];
  const elements: Record<string, number> = { patches: rows * 3 * patchSize ** 2, patch_embed: stream };
  if (patchNorm) {
    operations.push({
      ...{ kind: 'layerNorm', name: 'patch_embed.norm', input: 'patch_embed', output: 'norm' },
      ...{ rows, features: embedDim, epsilon: config.layerNormEpsilon },
    });
    elements['norm'] = stream;
  }
  const embedded = patchNorm ? 'norm' : 'patch_embed';
  if (!absolutePosition) return { name: 'embed', input: 'patches', output: embedded, elements, operations };
  operations.push({
    ...{ kind: 'tokens', input: embedded, output: 'y', prefix: [], position: 'absolute_pos_embed' },
    ...{ rows, features: embedDim },
  });
  return { name: 'embed', input: 'patches', output: 'y', elements: { ...elements, y: stream }, operations };
}

/** Blocks with the windows in place and shifted by turns. */
function buildStage(config: SwinConfig, { resolution, features, depth, heads, side }: SwinStage, name: string): Unit[] {
  const { qkvBias, layerNormEpsilon, hiddenRatio } = config;
  const positions = relativePositions(side);
  const cut = [false, true].map((shifted) => cutIntoWindows(resolution, config.windowSize, shifted));
  return Array.from({ length: depth }, (_, b) =>
    buildBlock(`${name}.blocks.${b}`, {
      ...{ rows: resolution ** 2, features, heads, qkvBias, layerNormEpsilon },
      hiddenDim: Math.trunc(features * hiddenRatio),
      windowed: { windows: cut[b % 2] as Windows, positions },
    }),
  );
}

/** Patch merging: four neighbours become one token of twice the features. */
function buildDownsample(config: SwinConfig, { resolution, features }: SwinStage, name: string): Unit {
  const rows = Math.ceil(resolution / 2) ** 2;
  const merged = 4 * rows * features;
  return {
    name,
    input: 'x',
    output: 'y',
    elements: { x: resolution ** 2 * features, merged, norm: merged, y: 2 * rows * features },
    operations: [
      {
        ...{ kind: 'gatherRows', input: 'x', output: 'merged', indices: mergedRows(resolution) },
        ...{ rows: resolution ** 2, features },
      },
      {
        ...{ kind: 'layerNorm', name: `${name}.norm`, input: 'merged', output: 'norm' },
        ...{ rows, features: 4 * features, epsilon: config.layerNormEpsilon },
      },
      { ...linear(`${name}.reduction`, 'norm', 'y', rows, 4 * features, 2 * features), bias: null },
    ],
  };
}

function buildHead(config: SwinConfig, { resolution, features }: SwinStage): Unit {
  const rows = resolution ** 2;
  return {
    name: 'head',
    input: 'x',
    output: 'logits',
    elements: { x: rows * features, norm: rows * features, pooled: features, logits: config.numClasses },
    operations: [
      {
        ...{ kind: 'layerNorm', name: 'norm', input: 'x', output: 'norm' },
        ...{ rows, features, epsilon: config.layerNormEpsilon },
      },
      { kind: 'meanRows', input: 'norm', output: 'pooled', first: 0, rows, features },
      linear('head', 'pooled', 'logits', 1, features, config.numClasses),
    ],
  };
}
