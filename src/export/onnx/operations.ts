import type { Preprocessing } from '../../io/preprocess.ts';
import type { LayerRecipe } from '../../calibrate/recipe.ts';
import type {
  AttentionBiasOperation,
  GatherRowsOperation,
  LinearOperation,
  MatmulOperation,
  Operation,
  TokensOperation,
  Unit,
} from '../../model/graph.ts';
import { ExportError } from '../errors.ts';
import type { OnnxGraph, Tensor } from './graph.ts';
import { quantizeLeft, quantizeUniform, type QuantizedOperand } from './quantizers.ts';
import { readMatrices, writeMatrices } from './views.ts';
import { dequantizedBias, dequantizedWeight, transposed } from './weights.ts';

/** What the operations of a network are computed with. */
export interface Parameters {
  /** A float parameter of `count` values. */
  readonly float: (name: string, count: number) => Float32Array;
  /** The float bias of a quantized layer. */
  readonly bias: (layer: string, count: number) => Float32Array | null;
  /** The codes of a quantized weight. */
  readonly codes: (layer: string, count: number) => Int8Array;
  /** How a searched product is quantized; undefined in a float model. */
  readonly layer: (name: string) => LayerRecipe | undefined;
  readonly preprocessing: Preprocessing;
}

/** Writes one operation of `unit`; the tensor that it makes. */
export function writeOperation(
  graph: OnnxGraph,
  parameters: Parameters,
  unit: Unit,
  operation: Operation,
  tensors: ReadonlyMap<string, Tensor>,
): Tensor {
  const read = (name: string) => tensors.get(name) as Tensor;
  const parameter = (name: string, shape: readonly number[]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return graph.constant({ type: 'float', values: parameters.float(name, count) }, shape, name);
  };
  switch (operation.kind) {
    case 'linear':
      return linear(graph, parameters, operation, read(operation.input));
    case 'matmul':
      return matmul(graph, parameters, unit, operation, read);
    case 'layerNorm': {
      const { name, rows, features, epsilon } = operation;
      const x = lines(graph, read(operation.input), rows, features);
      const inputs = [x.value, parameter(`${name}.weight`, [features]), parameter(`${name}.bias`, [features])];
      return { ...x, value: graph.node('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } }) };
    }
    case 'softmax': {
      const x = lines(graph, read(operation.input), operation.rows, operation.columns);
      return { ...x, value: graph.node('Softmax', [scaled(graph, x.value, operation.scale)], { axis: -1 }) };
    }
    case 'gelu': {
      const x = read(operation.input);
      const erf = graph.node('Erf', [graph.node('Mul', [x.value, graph.float(Math.SQRT1_2)])]);
      const doubled = graph.node('Mul', [x.value, graph.node('Add', [erf, graph.float(1)])]);
      return { ...x, value: graph.node('Mul', [doubled, graph.float(0.5)]) };
    }
    case 'add': {
      const a = read(operation.a);
      const sum = graph.node('Add', [a.value, graph.reshape(read(operation.b), a.dims).value]);
      return { ...a, value: scaled(graph, sum, operation.scale) };
    }
    case 'tokens':
      return tokens(graph, parameters, operation, read(operation.input));
    case 'gatherRows':
      return gatherRows(graph, operation, read(operation.input));
    case 'attentionBias': {
      const { table, heads, index } = operation;
      const entries = Math.max(...index) + 1;
      return attentionBias(graph, operation, read(operation.input), parameter(table, [entries, heads]));
    }
    case 'meanRows': {
      const { first, rows, features } = operation;
      const x = graph.reshape(read(operation.input), [rows, features]);
      const kept = graph.slice(x, 0, first, rows - first);
      return { value: graph.node('ReduceMean', [kept.value], { axes: [1], keepdims: 1 }), dims: [1, features] };
    }
  }
}

/** Rows of `features` along the last dimension. */
function lines(graph: OnnxGraph, tensor: Tensor, rows: number, features: number): Tensor {
  return tensor.dims.at(-1) === features ? tensor : graph.reshape(tensor, [rows, features]);
}

function scaled(graph: OnnxGraph, value: string, scale: number): string {
  return scale === 1 ? value : graph.node('Mul', [value, graph.float(scale)]);
}

function linear(graph: OnnxGraph, parameters: Parameters, operation: LinearOperation, input: Tensor): Tensor {
  const { name, rows, inFeatures, outFeatures } = operation;
  const count = inFeatures * outFeatures;
  const x = lines(graph, input, rows, inFeatures);
  const dims = [...x.dims.slice(0, -1), outFeatures];
  const layer = parameters.layer(name);
  if (!layer) {
    const values = transposed(parameters.float(operation.weight, count), outFeatures, inFeatures);
    const weight = graph.constant({ type: 'float', values }, [inFeatures, outFeatures], operation.weight);
    const product = graph.node('MatMul', [x.value, weight]);
    if (operation.bias === null) return { value: product, dims };
    const shift = { type: 'float', values: parameters.float(operation.bias, outFeatures) } as const;
    return { value: graph.node('Add', [product, graph.constant(shift, [outFeatures], operation.bias)]), dims };
  }
  const left = quantizeLeft(graph, x, layer.a, parameters.preprocessing);
  const weight = dequantizedWeight(graph, parameters.codes(name, count), operation, layer.b);
  const product = products(graph, left, { terms: [{ value: weight, dims: [inFeatures, outFeatures] }] });
  const bias = parameters.bias(name, outFeatures);
  if (!bias) return { value: product, dims };
  return { value: graph.node('Add', [product, dequantizedBias(graph, bias, operation, layer)]), dims };
}

function matmul(
  graph: OnnxGraph,
  parameters: Parameters,
  unit: Unit,
  operation: MatmulOperation,
  read: (name: string) => Tensor,
): Tensor {
  const { name, a, b, output, windows, heads, rows, depth, columns } = operation;
  const elements = (tensor: string) => (unit.elements[tensor] as number) / windows;
  const left = readMatrices(graph, read(a.tensor), elements(a.tensor), a, [heads, rows, depth]);
  const right = readMatrices(graph, read(b.tensor), elements(b.tensor), b, [heads, depth, columns]);
  const layer = parameters.layer(name);
  let value: string;
  if (!layer) value = graph.node('MatMul', [left.value, right.value]);
  else if (layer.b.type !== 'uniform') throw new ExportError(`${name}: keys or values in blocks have no form in ONNX`);
  else {
    const quantized = quantizeLeft(graph, left, layer.a, parameters.preprocessing);
    value = products(graph, quantized, quantizeUniform(graph, right, layer.b));
  }
  const product = { value, dims: [heads, rows, columns] };
  return writeMatrices(graph, product, elements(output.tensor), output);
}

/** The product of each term of the left operand with the right one, summed, and the scales that are not in the terms. */
function products(graph: OnnxGraph, left: QuantizedOperand, right: QuantizedOperand): string {
  const [{ value: b }] = right.terms as [Tensor];
  const sum = left.terms
    .map(({ value: a }) => graph.node('MatMul', [a, b]))
    .reduce((a, c) => graph.node('Add', [a, c]));
  const ofRows = left.rowScales === undefined ? sum : graph.node('Mul', [sum, left.rowScales]);
  const heads = (left.headScales ?? right.headScales)?.length;
  if (heads === undefined) return ofRows;
  const scales = Array.from({ length: heads }, (_, i) => (left.headScales?.[i] ?? 1) * (right.headScales?.[i] ?? 1));
  return graph.node('Mul', [ofRows, graph.floats(scales, [heads, 1, 1])]);
}

/** Rows of zeros in front become the prefix tokens when everything constant is added at once. */
function tokens(graph: OnnxGraph, parameters: Parameters, operation: TokensOperation, input: Tensor): Tensor {
  const { prefix, position, rows, features } = operation;
  const all = prefix.length + rows;
  const added = parameters.float(position, all * features).slice();
  prefix.forEach((name, token) => {
    parameters.float(name, features).forEach((value, i) => {
      const at = token * features + i;
      added[at] = (added[at] as number) + value;
    });
  });
  let { value } = graph.reshape(input, [rows, features]);
  if (prefix.length > 0) value = graph.node('Pad', [value, graph.integers([0, prefix.length, 0, 0, 0, 0])]);
  const constant = graph.constant({ type: 'float', values: added }, [all, features], position);
  return { value: graph.node('Add', [value, constant]), dims: [all, features] };
}

/** Index -1 reads a row of zeros behind the last. */
function gatherRows(graph: OnnxGraph, { indices, rows, features }: GatherRowsOperation, input: Tensor): Tensor {
  const wanted = Array.from(indices);
  let { value } = graph.reshape(input, [rows, features]);
  if (wanted.includes(-1)) value = graph.node('Pad', [value, graph.integers([0, 0, 0, 0, 1, 0])]);
  const from = graph.integers(wanted.map((row) => (row < 0 ? rows : row)));
  return { value: graph.node('Gather', [value, from], { axis: 1 }), dims: [wanted.length, features] };
}

function attentionBias(graph: OnnxGraph, operation: AttentionBiasOperation, input: Tensor, table: string): Tensor {
  const { scale, heads, tokens: count, windows, index, mask } = operation;
  const x = graph.reshape(input, [windows, heads, count, count]);
  const rows = graph.node('Gather', [table, graph.integers(Array.from(index))], { axis: 0 });
  const perHead = graph.node('Transpose', [rows], { perm: [1, 0] });
  const bias = graph.node('Reshape', [perHead, graph.integers([heads, count, count])]);
  const value = graph.node('Add', [scaled(graph, x.value, scale), bias]);
  if (mask === null) return { ...x, value };
  const [queries, keys] = [
    graph.integers(Array.from(mask), [windows, 1, count, 1]),
    graph.integers(Array.from(mask), [windows, 1, 1, count]),
  ];
  const penalty = graph.node('Where', [graph.node('Equal', [queries, keys]), graph.float(0), graph.float(-100)]);
  return { ...x, value: graph.node('Add', [value, penalty]) };
}
