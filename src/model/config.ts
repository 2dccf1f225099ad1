import type { Preprocessing } from '../io/preprocess.ts';

/** What every architecture has. */
interface CommonConfig {
  /** timm's name, a tag after a dot included. */
  readonly architecture: string;
  /** Height and width of the input in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly numClasses: number;
  readonly qkvBias: boolean;
  readonly layerNormEpsilon: number;
  readonly preprocessing: Preprocessing;
  /** Class names, one a class, when the file has them. */
  readonly labels?: readonly string[];
}

/** Sizes of a ViT or DeiT and the preprocessing its weights were trained with. */
export interface VitConfig extends CommonConfig {
  readonly family: 'vit';
  readonly embedDim: number;
  readonly depth: number;
  readonly heads: number;
  /** Features between fc1 and fc2. */
  readonly hiddenDim: number;
  /** Tokens before the patches: class, distillation and register tokens, in this order. */
  readonly prefixTokens: number;
  readonly classToken: boolean;
  /** A second token with a head of its own; the logits are averaged. */
  readonly distilled: boolean;
  readonly registerTokens: number;
  /** Whether the position embedding has rows for the prefix tokens. */
  readonly embedPrefix: boolean;
  /** What the head reads: the class token, or the mean of the patches. */
  readonly globalPool: 'token' | 'avg';
  /** The last norm comes after the pooling, and is called `fc_norm`. */
  readonly fcNorm: boolean;
  /** Queries and keys of every head are normalised. */
  readonly qkNorm: boolean;
  /** Attention and MLP are scaled by learned factors a feature. */
  readonly layerScale: boolean;
}

/** Sizes of a Swin Transformer (version 1) and the preprocessing its weights were trained with. */
export interface SwinConfig extends CommonConfig {
  readonly family: 'swin';
  /** Features of the first stage; each next one has twice as many. */
  readonly embedDim: number;
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  /** Of the blocks of each stage. */
  readonly heads: readonly number[];
  /** Side of a window in tokens; a stage that is no larger is one window. */
  readonly windowSize: number;
  /** Features between fc1 and fc2 over those of the stage. */
  readonly hiddenRatio: number;
  readonly patchNorm: boolean;
  /** A position embedding is added to the patches. */
  readonly absolutePosition: boolean;
}

export type ModelConfig = VitConfig | SwinConfig;

/** The sizes that a model is described by; those of a Swin are the sum of its depths and the features of its first stage. */
export interface ModelSizes {
  readonly architecture: string;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly embedDim: number;
  readonly depth: number;
  readonly heads: number;
  readonly hiddenDim: number;
  readonly numClasses: number;
}

export function modelSizes(config: ModelConfig): ModelSizes {
  const { architecture, imageSize, patchSize, embedDim, numClasses } = config;
  const swin = config.family === 'swin';
  return {
    ...{ architecture, imageSize, patchSize, embedDim, numClasses },
    depth: swin ? config.depths.reduce((sum, depth) => sum + depth, 0) : config.depth,
    heads: swin ? (config.heads[0] as number) : config.heads,
    hiddenDim: swin ? Math.trunc(embedDim * config.hiddenRatio) : config.hiddenDim,
  };
}
