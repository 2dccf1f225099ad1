import type { VitConfig } from './config.ts';
import type { LinearOperation, MatrixView, Network, Operation, Unit } from './graph.ts';

/** A ViT or DeiT (plain or distilled) as data: units `embed`, `blocks.0` ..., `head`. */
export function buildVit(config: VitConfig): Network {
  const blocks = Array.from({ length: config.depth }, (_, i) => buildBlock(config, `blocks.${i}`));
  return { units: [buildEmbed(config), ...blocks, buildHead(config)], numClasses: config.numClasses };
}

function patchCount({ imageSize, patchSize }: VitConfig): number {
  return (imageSize / patchSize) ** 2;
}

function tokenCount(config: VitConfig): number {
  return config.prefixTokens + patchCount(config);
}

/** `patches` (see patches.ts) to tokens with prefix and position. */
function buildEmbed(config: VitConfig): Unit {
  const { embedDim, patchSize, distilled } = config;
  const rows = patchCount(config);
  const pixels = 3 * patchSize * patchSize;
  return {
    name: 'embed',
    input: 'patches',
    output: 'y',
    elements: { patches: rows * pixels, patch_embed: rows * embedDim, y: tokenCount(config) * embedDim },
    operations: [
      {
        ...linear('patch_embed', 'patches', 'patch_embed', rows, pixels, embedDim),
        weight: 'patch_embed.proj.weight',
        bias: 'patch_embed.proj.bias',
        operand: 'pixels',
      },
      {
        kind: 'tokens',
        input: 'patch_embed',
        output: 'y',
        prefix: distilled ? ['cls_token', 'dist_token'] : ['cls_token'],
        position: 'pos_embed',
        rows,
        features: embedDim,
      },
    ],
  };
}

/** Attention and MLP, each behind a LayerNorm and beside a residual connection. q, k and v stay inside `qkv`. */
function buildBlock(config: VitConfig, name: string): Unit {
  const { embedDim, heads, hiddenDim } = config;
  const rows = tokenCount(config);
  const headDim = embedDim / heads;
  const stream = rows * embedDim;
  const norm = (layer: string, input: string): Operation => ({
    kind: 'layerNorm',
    name: `${name}.${layer}`,
    input,
    output: layer,
    rows,
    features: embedDim,
    epsilon: config.layerNormEpsilon,
  });
  /** Rows of q, k or v: part 0, 1 or 2 of each token's features. */
  const part = (index: number): MatrixView => ({
    tensor: 'qkv',
    offset: index * embedDim,
    headStride: headDim,
    rowStride: 3 * embedDim,
    columnStride: 1,
  });
  const keysAsColumns: MatrixView = { ...part(1), rowStride: 1, columnStride: 3 * embedDim };
  const square = (tensor: string): MatrixView => ({
    tensor,
    offset: 0,
    headStride: rows * rows,
    rowStride: rows,
    columnStride: 1,
  });
  const qkv = linear(`${name}.attn.qkv`, 'norm1', 'qkv', rows, embedDim, 3 * embedDim);
  return {
    name,
    input: 'x',
    output: 'y',
    elements: {
      x: stream,
      norm1: stream,
      qkv: 3 * stream,
      scores: heads * rows * rows,
      probs: heads * rows * rows,
      context: stream,
      attn: stream,
      residual: stream,
      norm2: stream,
      fc1: rows * hiddenDim,
      gelu: rows * hiddenDim,
      fc2: stream,
      y: stream,
    },
    operations: [
      norm('norm1', 'x'),
      { ...qkv, bias: config.qkvBias ? qkv.bias : null, parts: 3 },
      {
        kind: 'matmul',
        name: `${name}.attn.qk`,
        a: part(0),
        b: keysAsColumns,
        output: square('scores'),
        heads,
        rows,
        depth: headDim,
        columns: rows,
        operand: 'plain',
      },
      {
        kind: 'softmax',
        name: `${name}.attn.softmax`,
        input: 'scores',
        output: 'probs',
        rows: heads * rows,
        columns: rows,
        scale: headDim ** -0.5,
      },
      {
        kind: 'matmul',
        name: `${name}.attn.pv`,
        a: square('probs'),
        b: part(2),
        output: { tensor: 'context', offset: 0, headStride: headDim, rowStride: embedDim, columnStride: 1 },
        heads,
        rows,
        depth: rows,
        columns: headDim,
        operand: 'post-softmax',
      },
      linear(`${name}.attn.proj`, 'context', 'attn', rows, embedDim, embedDim),
      { kind: 'add', a: 'x', b: 'attn', output: 'residual', count: stream, scale: 1 },
      norm('norm2', 'residual'),
      linear(`${name}.mlp.fc1`, 'norm2', 'fc1', rows, embedDim, hiddenDim),
      { kind: 'gelu', name: `${name}.mlp.gelu`, input: 'fc1', output: 'gelu', count: rows * hiddenDim },
      { ...linear(`${name}.mlp.fc2`, 'gelu', 'fc2', rows, hiddenDim, embedDim), operand: 'post-gelu' },
      { kind: 'add', a: 'residual', b: 'fc2', output: 'y', count: stream, scale: 1 },
    ],
  };
}

/** Class token to logits; a distilled model averages the logits of its two tokens. The last norm works row by row, so only those rows are normalised. */
function buildHead(config: VitConfig): Unit {
  const { embedDim, numClasses, distilled } = config;
  /** Tensors `<prefix>token`, `<prefix>norm` and `output` of one token's way. */
  const way = (layer: string, prefix: string, row: number, output: string): Operation[] => [
    {
      kind: 'selectRow',
      input: 'x',
      output: `${prefix}token`,
      row,
      rows: tokenCount(config),
      features: embedDim,
    },
    {
      kind: 'layerNorm',
      name: 'norm',
      input: `${prefix}token`,
      output: `${prefix}norm`,
      rows: 1,
      features: embedDim,
      epsilon: config.layerNormEpsilon,
    },
    linear(layer, `${prefix}norm`, output, 1, embedDim, numClasses),
  ];
  const stream = tokenCount(config) * embedDim;
  if (!distilled) {
    return {
      name: 'head',
      input: 'x',
      output: 'logits',
      elements: { x: stream, token: embedDim, norm: embedDim, logits: numClasses },
      operations: way('head', '', 0, 'logits'),
    };
  }
  return {
    name: 'head',
    input: 'x',
    output: 'logits',
    elements: {
      x: stream,
      token: embedDim,
      norm: embedDim,
      head: numClasses,
      dist_token: embedDim,
      dist_norm: embedDim,
      head_dist: numClasses,
      logits: numClasses,
    },
    operations: [
      ...way('head', '', 0, 'head'),
      ...way('head_dist', 'dist_', 1, 'head_dist'),
      { kind: 'add', a: 'head', b: 'head_dist', output: 'logits', count: numClasses, scale: 0.5 },
    ],
  };
}

function linear(
  name: string,
  input: string,
  output: string,
  rows: number,
  inFeatures: number,
  outFeatures: number,
): LinearOperation {
  return {
    kind: 'linear',
    name,
    input,
    output,
    weight: `${name}.weight`,
    bias: `${name}.bias`,
    rows,
    inFeatures,
    outFeatures,
    parts: 1,
    operand: 'plain',
  };
}
