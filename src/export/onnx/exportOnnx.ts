import type { LayerRecipe, Recipe } from '../../calibrate/recipe.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { Network } from '../../model/graph.ts';
import type { Model } from '../../model/load.ts';
import { buildNetwork } from '../../model/network.ts';
import { parseConfig } from '../../model/parseConfig.ts';
import { ExportError } from '../errors.ts';
import { QuantizedWeights } from '../weights.ts';
import { OnnxGraph, type Tensor } from './graph.ts';
import { writeOperation, type Parameters } from './operations.ts';
import { joined, LARGEST_MESSAGE, type Wire } from './protobuf.ts';
import { floatValueMessage, modelMessage } from './schema.ts';

/** Input and output of every model: f32 `[batch, 3, height, width]`, normalised, and f32 `[batch, numClasses]`. */
const INPUT = 'pixel_values';
const OUTPUT = 'logits';

export interface OnnxInput {
  readonly recipe: Recipe;
  /** The bytes of the `weights.safetensors` beside it, and its name for messages. */
  readonly weights: Uint8Array;
  readonly weightsFile: string;
  /** Version of the program. */
  readonly version: string;
}

/**
 * The quantize-dequantize model of a recipe as an ONNX file: searched products between QuantizeLinear and DequantizeLinear, the rest
 * in float. The same input gives the same bytes.
 *
 * @throws ExportError naming the layer that has no form in ONNX, or the size past what the format holds
 * @throws FormatError when the recipe's config or the weights are malformed
 */
export function exportOnnx({ recipe, weights, weightsFile, version }: OnnxInput): Uint8Array {
  const config = parseConfig(JSON.stringify(recipe.model.config), `${weightsFile}: the recipe's model.config`);
  const stored = new QuantizedWeights(weights, weightsFile);
  const layers = new Map<string, LayerRecipe>(recipe.layers.map((layer) => [layer.name, layer]));
  const parameters: Parameters = {
    float: (name, count) => stored.float(name, count),
    bias: (layer, count) => stored.bias(layer, count),
    codes: (layer, count) => stored.codes(layer, count),
    layer: (name) => {
      const layer = layers.get(name);
      if (!layer) throw new ExportError(`the recipe has no layer ${name}; quantize this model again`);
      return layer;
    },
    preprocessing: config.preprocessing,
  };
  return writeModel(buildNetwork(config), config, parameters, version, {
    'twinshift.weightsSha256': recipe.model.weightsSha256,
    'twinshift.options': JSON.stringify(recipe.options),
  });
}

/**
 * A float model as an ONNX file.
 *
 * @throws ExportError naming the size past what the format holds
 */
export function exportFloatOnnx({ config, network, parameters, weightsSha256 }: Model, version: string): Uint8Array {
  const float = (name: string) => {
    const found = parameters.get(name);
    if (!found) throw new Error(`the model has no parameter ${name}`);
    return found.values;
  };
  const none = (): never => {
    throw new Error('a float model has no codes');
  };
  const { preprocessing } = config;
  const source: Parameters = { float, bias: none, codes: none, layer: () => undefined, preprocessing };
  return writeModel(network, config, source, version, { 'twinshift.weightsSha256': weightsSha256 });
}

function writeModel(
  network: Network,
  config: ModelConfig,
  parameters: Parameters,
  version: string,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const graph = new OnnxGraph();
  let input = patches(graph, config);
  for (const unit of network.units) {
    const tensors = new Map<string, Tensor>([[unit.input, input]]);
    for (const operation of unit.operations) {
      const output = operation.kind === 'matmul' ? operation.output.tensor : operation.output;
      graph.scope = 'name' in operation ? operation.name : `${unit.name}.${output}`;
      tensors.set(output, writeOperation(graph, parameters, unit, operation, tensors));
    }
    input = tensors.get(unit.output) as Tensor;
  }
  graph.output(OUTPUT, graph.reshape(input, [network.numClasses]).value);
  const model = modelMessage({
    name: config.architecture,
    producer: { name: 'twinshift', version },
    nodes: graph.nodes,
    constants: graph.constants,
    inputs: [floatValueMessage(INPUT, ['batch', 3, config.imageSize, config.imageSize])],
    outputs: [floatValueMessage(OUTPUT, ['batch', network.numClasses])],
    metadata: {
      'twinshift.preprocessing': JSON.stringify(config.preprocessing),
      ...(config.labels ? { 'twinshift.labels': JSON.stringify(config.labels) } : {}),
      ...metadata,
    },
  });
  return fileOf(model);
}

/** The bytes of a file. Throws ExportError when they are more than the format holds. */
export function fileOf(model: Wire): Uint8Array {
  if (model.bytes > LARGEST_MESSAGE) {
    throw new ExportError(`an ONNX file holds ${LARGEST_MESSAGE} bytes, this model has ${model.bytes}`);
  }
  return joined(model);
}

/** Rows of the patch embedding, each in the order of a flattened convolution weight. */
function patches(graph: OnnxGraph, { imageSize, patchSize }: ModelConfig): Tensor {
  graph.scope = 'patches';
  const across = imageSize / patchSize;
  const cut = { value: INPUT, dims: [3, imageSize, imageSize] };
  const split = graph.reshape(cut, [3, across, patchSize, across, patchSize]);
  const rows = graph.transpose(split, [1, 3, 0, 2, 4]);
  return graph.reshape(rows, [across ** 2, 3 * patchSize ** 2]);
}
