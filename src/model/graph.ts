/**
 * A model as data. A network is a list of units (embedding, blocks, head); a unit is a straight-line list of operations over
 * named tensors. Every walk of the program (float forward, backward, capture, search, simulation, integer plan) reads these lists.
 * Shapes are per image: a tensor of a chunk of `images` images is `[images][elements]`, f32, row-major.
 */

/** Where the matrix of one head lies inside a tensor: element (head, row, column) is at offset + head*headStride + row*rowStride + column*columnStride. */
export interface MatrixView {
  readonly tensor: string;
  readonly offset: number;
  readonly headStride: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** `output[row, :] = input[row, :] * weight^T + bias`, weight `[outFeatures, inFeatures]` as PyTorch stores it. Searched. */
export interface LinearOperation {
  readonly kind: 'linear';
  /** Canonical (timm) name of the layer; weights are `<name>.weight` and `<name>.bias` unless said. */
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly weight: string;
  readonly bias: string | null;
  readonly rows: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Output features are this many equal parts with ranges of their own when weights are quantized per tensor: 3 for q, k, v. */
  readonly parts: number;
  /** What the input holds: it decides the quantizer. `pixels` are exact. */
  readonly operand: 'plain' | 'post-gelu' | 'pixels';
}

/**
 * `output = a * b` per window and head, a `[rows, depth]`, b `[depth, columns]`. Both operands are activations. Searched.
 * The views describe one window; consecutive windows lie one after the other, each the elements of the tensor per image over
 * `windows`: a product of `images` images is the same as that of `images * windows` images of one window.
 */
export interface MatmulOperation {
  readonly kind: 'matmul';
  readonly name: string;
  readonly a: MatrixView;
  readonly b: MatrixView;
  readonly output: MatrixView;
  /** Windows of an image that attend each within itself; 1 for a ViT. */
  readonly windows: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly operand: 'plain' | 'post-softmax';
}

/** Normalisation of each row over its features with gain and shift `<name>.weight`, `<name>.bias`. */
export interface LayerNormOperation {
  readonly kind: 'layerNorm';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly rows: number;
  readonly features: number;
  readonly epsilon: number;
}

/** `output[row, :] = softmax(scale * input[row, :])`. */
export interface SoftmaxOperation {
  readonly kind: 'softmax';
  /** For people and recipes: it has no parameters. */
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly rows: number;
  readonly columns: number;
  readonly scale: number;
}

/** Exact (erf) GELU. */
export interface GeluOperation {
  readonly kind: 'gelu';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly count: number;
}

/** `output = (a + b) * scale`. */
export interface AddOperation {
  readonly kind: 'add';
  readonly a: string;
  readonly b: string;
  readonly output: string;
  readonly count: number;
  readonly scale: number;
}

/** `output = [prefix tokens; input rows] + position`: class (and distillation) tokens in front, position embedding added. */
export interface TokensOperation {
  readonly kind: 'tokens';
  readonly input: string;
  readonly output: string;
  /** Parameter names of the prefix tokens in order, each `[features]`; none where only a position is added. */
  readonly prefix: readonly string[];
  /** Parameter `[prefix + rows, features]`. */
  readonly position: string;
  /** Rows of the input: patches. */
  readonly rows: number;
  readonly features: number;
}

/**
 * `output[i, :] = input[indices[i], :]`, or zeros where the index is -1; no row of the input is read twice. It picks the class
 * token, cuts a stage into windows (shifted, padded) and back (cropped), and puts the four neighbours of patch merging side by side.
 */
export interface GatherRowsOperation {
  readonly kind: 'gatherRows';
  readonly input: string;
  readonly output: string;
  /** One for each row of the output. */
  readonly indices: readonly number[] | Int32Array;
  /** Of the input. */
  readonly rows: number;
  readonly features: number;
}

/**
 * Relative position bias and mask of windowed attention: `output[w, h, i, j] = scale * input[w, h, i, j] + table[index[i, j], h]
 * - 100` where `mask[w, i]` and `mask[w, j]` differ (Swin, section 3.2). The softmax after it has scale 1.
 */
export interface AttentionBiasOperation {
  readonly kind: 'attentionBias';
  /** For people and recipes. */
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly scale: number;
  /** Parameter `[(2 window - 1)^2, heads]`. */
  readonly table: string;
  readonly heads: number;
  /** Of one window. */
  readonly tokens: number;
  readonly windows: number;
  /** Row of the table for `[tokens, tokens]`. */
  readonly index: readonly number[] | Int32Array;
  /** Region of each token `[windows, tokens]`: tokens of different regions do not attend to each other. */
  readonly mask: readonly number[] | Int32Array | null;
}

/** `output[0, :]` = mean of `input[row, :]` over the rows from `first` on: average pooling without the prefix tokens. */
export interface MeanRowsOperation {
  readonly kind: 'meanRows';
  readonly input: string;
  readonly output: string;
  readonly first: number;
  /** Of the input. */
  readonly rows: number;
  readonly features: number;
}

export type SearchedOperation = LinearOperation | MatmulOperation;

export type Operation =
  | SearchedOperation
  | LayerNormOperation
  | SoftmaxOperation
  | GeluOperation
  | AddOperation
  | TokensOperation
  | GatherRowsOperation
  | AttentionBiasOperation
  | MeanRowsOperation;

/** A straight-line piece of the network with one input and one output tensor. */
export interface Unit {
  readonly name: string;
  readonly input: string;
  readonly output: string;
  /** Elements per image of every tensor of the unit, its input included. */
  readonly elements: Readonly<Record<string, number>>;
  readonly operations: readonly Operation[];
}

export interface Network {
  /** Embedding, blocks in order, head: the output of one is the input of the next. */
  readonly units: readonly Unit[];
  readonly numClasses: number;
}

export function isSearched(operation: Operation): operation is SearchedOperation {
  return operation.kind === 'linear' || operation.kind === 'matmul';
}

/** The searched layers of a network in the order of its forward pass. */
export function searchedLayers(network: Network): SearchedOperation[] {
  return network.units.flatMap((unit) => unit.operations.filter(isSearched));
}
