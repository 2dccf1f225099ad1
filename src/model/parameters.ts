import type { ModelConfig, SwinConfig, VitConfig } from './config.ts';
import { swinStages } from './swin.ts';

export interface Parameter {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: Float32Array;
}

/** Canonical (timm) names of all parameters that a checkpoint has, in the order of the forward pass, with their shapes. */
export function parameterShapes(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const shapes = new Shapes();
  if (config.family === 'swin') addSwin(shapes, config);
  else addVit(shapes, config);
  return shapes.all;
}

class Shapes {
  readonly all = new Map<string, readonly number[]>();

  linear(name: string, outFeatures: number, inFeatures: number, bias = true): void {
    this.all.set(`${name}.weight`, [outFeatures, inFeatures]);
    if (bias) this.all.set(`${name}.bias`, [outFeatures]);
  }

  norm(name: string, features: number): void {
    this.all.set(`${name}.weight`, [features]);
    this.all.set(`${name}.bias`, [features]);
  }

  patches({ embedDim, patchSize }: ModelConfig): void {
    this.all.set('patch_embed.proj.weight', [embedDim, 3, patchSize, patchSize]);
    this.all.set('patch_embed.proj.bias', [embedDim]);
  }
}

function addVit(shapes: Shapes, config: VitConfig): void {
  const { embedDim, heads, hiddenDim, numClasses, registerTokens, layerScale } = config;
  const patches = (config.imageSize / config.patchSize) ** 2;
  if (config.classToken) shapes.all.set('cls_token', [1, 1, embedDim]);
  if (config.distilled) shapes.all.set('dist_token', [1, 1, embedDim]);
  if (registerTokens > 0) shapes.all.set('reg_token', [1, registerTokens, embedDim]);
  shapes.all.set('pos_embed', [1, patches + (config.embedPrefix ? config.prefixTokens : 0), embedDim]);
  shapes.patches(config);
  for (let i = 0; i < config.depth; i++) {
    shapes.norm(`blocks.${i}.norm1`, embedDim);
    shapes.linear(`blocks.${i}.attn.qkv`, 3 * embedDim, embedDim, config.qkvBias);
    if (config.qkNorm) {
      shapes.norm(`blocks.${i}.attn.q_norm`, embedDim / heads);
      shapes.norm(`blocks.${i}.attn.k_norm`, embedDim / heads);
    }
    shapes.linear(`blocks.${i}.attn.proj`, embedDim, embedDim);
    if (layerScale) shapes.all.set(`blocks.${i}.ls1.gamma`, [embedDim]);
    shapes.norm(`blocks.${i}.norm2`, embedDim);
    shapes.linear(`blocks.${i}.mlp.fc1`, hiddenDim, embedDim);
    shapes.linear(`blocks.${i}.mlp.fc2`, embedDim, hiddenDim);
    if (layerScale) shapes.all.set(`blocks.${i}.ls2.gamma`, [embedDim]);
  }
  shapes.norm(config.fcNorm ? 'fc_norm' : 'norm', embedDim);
  shapes.linear('head', numClasses, embedDim);
  if (config.distilled) shapes.linear('head_dist', numClasses, embedDim);
}

function addSwin(shapes: Shapes, config: SwinConfig): void {
  shapes.patches(config);
  if (config.patchNorm) shapes.norm('patch_embed.norm', config.embedDim);
  if (config.absolutePosition) {
    shapes.all.set('absolute_pos_embed', [1, (config.imageSize / config.patchSize) ** 2, config.embedDim]);
  }
  const stages = swinStages(config);
  stages.forEach(({ features, depth, heads, side }, s) => {
    for (let b = 0; b < depth; b++) {
      const block = `layers.${s}.blocks.${b}`;
      const hiddenDim = Math.trunc(features * config.hiddenRatio);
      shapes.norm(`${block}.norm1`, features);
      shapes.linear(`${block}.attn.qkv`, 3 * features, features, config.qkvBias);
      shapes.all.set(`${block}.attn.relative_position_bias_table`, [(2 * side - 1) ** 2, heads]);
      shapes.linear(`${block}.attn.proj`, features, features);
      shapes.norm(`${block}.norm2`, features);
      shapes.linear(`${block}.mlp.fc1`, hiddenDim, features);
      shapes.linear(`${block}.mlp.fc2`, features, hiddenDim);
    }
    if (s === stages.length - 1) return;
    shapes.norm(`layers.${s}.downsample.norm`, 4 * features);
    shapes.linear(`layers.${s}.downsample.reduction`, 2 * features, 4 * features, false);
  });
  const { features } = stages.at(-1) as { features: number };
  shapes.norm('norm', features);
  shapes.linear('head', config.numClasses, features);
}
