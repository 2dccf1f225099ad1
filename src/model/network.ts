import type { ModelConfig } from './config.ts';
import type { Network } from './graph.ts';
import { buildSwin } from './swin.ts';
import { buildVit } from './vit.ts';

/** The network that a config describes. */
export function buildNetwork(config: ModelConfig): Network {
  return config.family === 'swin' ? buildSwin(config) : buildVit(config);
}
