import type { AddOperation, LinearOperation, MatrixView, Operation, Unit } from './graph.ts';
import type { Windows } from './windows.ts';

export interface BlockShape {
  /** Tokens. */
  readonly rows: number;
  readonly features: number;
  readonly heads: number;
  readonly hiddenDim: number;
  readonly qkvBias: boolean;
  readonly layerNormEpsilon: number;
  /** Queries and keys are normalised head by head; q, k and v are three layers then. */
  readonly qkNorm?: boolean;
  /** Attention within windows with a relative position bias; over all tokens when absent. */
  readonly windowed?: { readonly windows: Windows; readonly positions: Int32Array };
}

/** Attention and MLP, each behind a LayerNorm and beside a residual connection. */
export function buildBlock(name: string, shape: BlockShape): Unit {
  const { rows, features, hiddenDim, layerNormEpsilon: epsilon } = shape;
  const stream = rows * features;
  const norm = (layer: string, input: string): Operation => ({
    ...{ kind: 'layerNorm', name: `${name}.${layer}`, input, output: layer, rows, features, epsilon },
  });
  const add = (a: string, b: string, output: string): AddOperation => ({
    ...{ kind: 'add', a, b, output, count: stream, scale: 1 },
  });
  const attention = attend(name, shape);
  const operations: Operation[] = [
    norm('norm1', 'x'),
    ...attention.operations,
    add('x', attention.output, 'residual'),
    norm('norm2', 'residual'),
    linear(`${name}.mlp.fc1`, 'norm2', 'fc1', rows, features, hiddenDim),
    { kind: 'gelu', name: `${name}.mlp.gelu`, input: 'fc1', output: 'gelu', count: rows * hiddenDim },
    { ...linear(`${name}.mlp.fc2`, 'gelu', 'fc2', rows, hiddenDim, features), operand: 'post-gelu' },
    add('residual', 'fc2', 'y'),
  ];
  const mlp = { residual: stream, norm2: stream, fc1: rows * hiddenDim, gelu: rows * hiddenDim, fc2: stream };
  const elements = { x: stream, norm1: stream, ...attention.elements, ...mlp, y: stream };
  return { name, input: 'x', output: 'y', elements, operations };
}

interface Part {
  readonly operations: readonly Operation[];
  readonly elements: Readonly<Record<string, number>>;
  /** Tensor that it leaves. */
  readonly output: string;
}

/** From `norm1` to the output of the projection in the order of the tokens. */
function attend(name: string, shape: BlockShape): Part {
  const { features, heads, windowed } = shape;
  const { count: windows, tokens } = windowed?.windows ?? { count: 1, tokens: shape.rows };
  const { partition, reverse, mask } = windowed?.windows ?? { partition: null, reverse: null, mask: null };
  const rows = windows * tokens;
  const headDim = features / heads;
  const square = (tensor: string): MatrixView => ({
    tensor,
    offset: 0,
    headStride: tokens * tokens,
    rowStride: tokens,
    columnStride: 1,
  });
  const { q, k, v, ...projected } = project(name, partition ? 'windowed' : 'norm1', rows, shape);
  const product = { kind: 'matmul', windows, heads, rows: tokens } as const;
  const scale = headDim ** -0.5;
  const scores = windows * heads * tokens * tokens;
  const operations: Operation[] = [
    ...gather(partition, 'norm1', 'windowed', shape.rows, features),
    ...projected.operations,
    {
      ...{ ...product, name: `${name}.attn.qk`, a: q, b: { ...k, rowStride: 1, columnStride: k.rowStride } },
      ...{ output: square('scores'), depth: headDim, columns: tokens, operand: 'plain' },
    },
  ];
  if (windowed) {
    operations.push({
      ...{ kind: 'attentionBias', name: `${name}.attn.bias`, input: 'scores', output: 'biased', scale, heads, tokens },
      ...{ windows, table: `${name}.attn.relative_position_bias_table`, index: windowed.positions, mask },
    });
  }
  operations.push(
    {
      ...{ kind: 'softmax', name: `${name}.attn.softmax`, input: windowed ? 'biased' : 'scores', output: 'probs' },
      ...{ rows: windows * heads * tokens, columns: tokens, scale: windowed ? 1 : scale },
    },
    {
      ...{ ...product, name: `${name}.attn.pv`, a: square('probs'), b: v },
      output: { tensor: 'context', offset: 0, headStride: headDim, rowStride: features, columnStride: 1 },
      ...{ depth: tokens, columns: headDim, operand: 'post-softmax' },
    },
    linear(`${name}.attn.proj`, 'context', 'attn', rows, features, features),
    ...gather(reverse, 'attn', 'merged', rows, features),
  );
  const elements: Record<string, number> = { ...projected.elements, scores, probs: scores };
  if (windowed) elements['biased'] = scores;
  elements['context'] = elements['attn'] = rows * features;
  if (partition) Object.assign(elements, { windowed: rows * features, merged: shape.rows * features });
  return { operations, elements, output: reverse ? 'merged' : 'attn' };
}

function gather(
  indices: Int32Array | null,
  input: string,
  output: string,
  rows: number,
  features: number,
): readonly Operation[] {
  return indices ? [{ kind: 'gatherRows', input, output, indices, rows, features }] : [];
}

interface Projections extends Omit<Part, 'output'> {
  readonly q: MatrixView;
  readonly k: MatrixView;
  readonly v: MatrixView;
}

/** Queries, keys and values: three parts of one layer's features, or three layers where queries and keys are normalised. */
function project(name: string, input: string, rows: number, shape: BlockShape): Projections {
  const { features, heads, qkvBias, layerNormEpsilon: epsilon } = shape;
  const headDim = features / heads;
  const whole = (layer: string, outFeatures: number): LinearOperation => {
    const operation = linear(`${name}.attn.${layer}`, input, layer, rows, features, outFeatures);
    return qkvBias ? operation : { ...operation, bias: null };
  };
  const view = (tensor: string, offset: number, rowStride: number): MatrixView => ({
    ...{ tensor, offset, headStride: headDim, rowStride, columnStride: 1 },
  });
  if (!shape.qkNorm) {
    const [q, k, v] = [0, 1, 2].map((part) => view('qkv', part * features, 3 * features)) as [
      MatrixView,
      MatrixView,
      MatrixView,
    ];
    const operations = [{ ...whole('qkv', 3 * features), parts: 3 }];
    return { q, k, v, operations, elements: { qkv: 3 * rows * features } };
  }
  const norm = (layer: string, of: string): Operation => ({
    ...{ kind: 'layerNorm', name: `${name}.attn.${layer}`, input: of, output: layer, epsilon },
    ...{ rows: rows * heads, features: headDim },
  });
  const layers = ['q', 'k', 'v', 'q_norm', 'k_norm'];
  return {
    ...{ q: view('q_norm', 0, features), k: view('k_norm', 0, features), v: view('v', 0, features) },
    operations: [...['q', 'k', 'v'].map((layer) => whole(layer, features)), norm('q_norm', 'q'), norm('k_norm', 'k')],
    elements: Object.fromEntries(layers.map((layer) => [layer, rows * features])),
  };
}

/** A layer of `<name>.weight` and `<name>.bias` on plain values. */
export function linear(
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

/** The patch embedding: `patches` (see patches.ts) to `patch_embed`, a row each. */
export function patchEmbedding(rows: number, patchSize: number, embedDim: number): LinearOperation {
  return {
    ...linear('patch_embed', 'patches', 'patch_embed', rows, 3 * patchSize ** 2, embedDim),
    weight: 'patch_embed.proj.weight',
    bias: 'patch_embed.proj.bias',
    operand: 'pixels',
  };
}
