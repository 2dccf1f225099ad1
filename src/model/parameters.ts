import type { VitConfig } from './config.ts';

/** Canonical (timm) names of all parameters of a ViT in the order of its forward pass, with their shapes. */
export function parameterShapes(config: VitConfig): ReadonlyMap<string, readonly number[]> {
  const { embedDim, hiddenDim, numClasses, patchSize, prefixTokens } = config;
  const patches = (config.imageSize / patchSize) ** 2;
  const shapes = new Map<string, readonly number[]>();
  const linear = (name: string, outFeatures: number, inFeatures: number, bias = true) => {
    shapes.set(`${name}.weight`, [outFeatures, inFeatures]);
    if (bias) shapes.set(`${name}.bias`, [outFeatures]);
  };
  const norm = (name: string) => {
    shapes.set(`${name}.weight`, [embedDim]);
    shapes.set(`${name}.bias`, [embedDim]);
  };
  shapes.set('cls_token', [1, 1, embedDim]);
  if (config.distilled) shapes.set('dist_token', [1, 1, embedDim]);
  shapes.set('pos_embed', [1, prefixTokens + patches, embedDim]);
  shapes.set('patch_embed.proj.weight', [embedDim, 3, patchSize, patchSize]);
  shapes.set('patch_embed.proj.bias', [embedDim]);
  for (let i = 0; i < config.depth; i++) {
    norm(`blocks.${i}.norm1`);
    linear(`blocks.${i}.attn.qkv`, 3 * embedDim, embedDim, config.qkvBias);
    linear(`blocks.${i}.attn.proj`, embedDim, embedDim);
    norm(`blocks.${i}.norm2`);
    linear(`blocks.${i}.mlp.fc1`, hiddenDim, embedDim);
    linear(`blocks.${i}.mlp.fc2`, embedDim, hiddenDim);
  }
  norm('norm');
  linear('head', numClasses, embedDim);
  if (config.distilled) linear('head_dist', numClasses, embedDim);
  return shapes;
}
