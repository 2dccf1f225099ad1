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

/** `output = a * b` per head, a `[rows, depth]`, b `[depth, columns]`. Both operands are activations. Searched. */
export interface MatmulOperation {
  readonly kind: 'matmul';
  readonly name: string;
  readonly a: MatrixView;
  readonly b: MatrixView;
  readonly output: MatrixView;
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
  /** Parameter names of the prefix tokens in order, each `[features]`. */
  readonly prefix: readonly string[];
  /** Parameter `[prefix + rows, features]`. */
  readonly position: string;
  /** Rows of the input: patches. */
  readonly rows: number;
  readonly features: number;
}

/** `output[0, :] = input[row, :]`. */
export interface SelectRowOperation {
  readonly kind: 'selectRow';
  readonly input: string;
  readonly output: string;
  readonly row: number;
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
  | SelectRowOperation;

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
