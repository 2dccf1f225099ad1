import type { LayerRecipe, Recipe } from '../calibrate/recipe.ts';
import { writeSafetensors, type TensorEntry, type TensorToWrite } from '../io/safetensors.ts';
import { searchedLayers, type LinearOperation } from '../model/graph.ts';
import { findLayout } from '../model/layouts.ts';
import type { Model, Parameter } from '../model/load.ts';
import { parameterShapes } from '../model/parameters.ts';
import { storedParameters } from '../model/storedParameters.ts';
import { unfoldPixels } from '../quantize/pixels.ts';
import { ExportError } from './errors.ts';
import { absorbBias, normOf } from './normBias.ts';
import { QuantizedWeights } from './weights.ts';

export interface DequantizedInput {
  readonly recipe: Recipe;
  /** The bytes of the `weights.safetensors` beside it, and its name for messages. */
  readonly weights: Uint8Array;
  readonly weightsFile: string;
  /** The float model that the recipe was made for. */
  readonly model: Model;
  /** All tensors of its checkpoint, and the metadata of the first file. */
  readonly checkpoint: {
    readonly tensors: ReadonlyMap<string, TensorEntry>;
    readonly metadata: Readonly<Record<string, string>>;
  };
  /** Name and version of the program. */
  readonly writtenBy: string;
}

/**
 * A safetensors file with the names and shapes of the checkpoint, f32, whose weights are the values of their codes: what loads the
 * checkpoint loads this. Parameters are those of the network that was quantized, folded scales and corrected biases included; the
 * quantizers are in the metadata. A bias that the checkpoint has no tensor for goes into the norm before its layer. Tensors that no
 * inference reads are copied.
 *
 * @throws ExportError naming a layer with a bias that neither the checkpoint has a tensor for nor a norm can take up
 */
export function dequantizedCheckpoint(input: DequantizedInput): Uint8Array {
  const { recipe, model, checkpoint } = input;
  const shapes = parameterShapes(model.config);
  const { inFile } = findLayout(new Set(checkpoint.tensors.keys()), [...shapes.keys()]);
  const written = new Map<string, Parameter>();
  for (const [name, parameter] of storedParameters(model.config, dequantizedParameters(input))) {
    const names = inFile(name);
    const size = parameter.values.length / names.length;
    names.forEach((each, i) => {
      const { shape } = checkpoint.tensors.get(each) as TensorEntry;
      written.set(each, { shape, values: parameter.values.subarray(i * size, (i + 1) * size) });
    });
  }
  const tensors = [...checkpoint.tensors.values()].map((entry): TensorToWrite => {
    const own = written.get(entry.name);
    return own
      ? { name: entry.name, dtype: 'F32', shape: own.shape, data: own.values }
      : { name: entry.name, dtype: entry.dtype, shape: entry.shape, data: entry.bytes };
  });
  return writeSafetensors(tensors, {
    ...{ format: 'pt', ...checkpoint.metadata },
    'twinshift.weightsSha256': recipe.model.weightsSha256,
    'twinshift.layers': JSON.stringify(recipe.layers.map(({ name, kind, a, b }) => ({ name, kind, a, b }))),
    'twinshift.options': JSON.stringify(recipe.options),
    'twinshift.writtenBy': input.writtenBy,
  });
}

/** Every parameter of the network, those of linear layers from their codes. */
function dequantizedParameters({ recipe, weights, weightsFile, model }: DequantizedInput): Map<string, Parameter> {
  const stored = new QuantizedWeights(weights, weightsFile);
  const layers = new Map<string, LayerRecipe>(recipe.layers.map((layer) => [layer.name, layer]));
  const parameters = new Map<string, Parameter>();
  for (const operation of searchedLayers(model.network)) {
    if (operation.kind !== 'linear') continue;
    const { name, weight, bias, inFeatures, outFeatures } = operation;
    const layer = layers.get(name);
    if (!layer) throw new ExportError(`the recipe has no layer ${name}; quantize this model again`);
    const made = floatLayer(stored, operation, layer, model);
    if (made.bias && bias === null) {
      const norm = normOf(model.network, name);
      const shifted = norm && absorbBias(stored.float(`${norm}.bias`, inFeatures), made.weight, made.bias);
      if (!shifted) {
        throw new ExportError(
          `${name} has a bias after quantization, which this checkpoint has no tensor for and no norm before it can take up; ` +
            'quantize with --folding none, --compensation none and --bias-correction none, or export to another format',
        );
      }
      parameters.set(`${norm}.bias`, { shape: [inFeatures], values: shifted });
    }
    parameters.set(weight, { shape: [outFeatures, inFeatures], values: made.weight });
    if (bias !== null)
      parameters.set(bias, { shape: [outFeatures], values: made.bias ?? new Float32Array(outFeatures) });
  }
  for (const [name, { shape, values }] of model.parameters) {
    if (!parameters.has(name)) parameters.set(name, { shape, values: stored.float(name, values.length) });
  }
  return parameters;
}

function floatLayer(
  stored: QuantizedWeights,
  { name, operand, inFeatures, outFeatures }: LinearOperation,
  { b }: LayerRecipe,
  model: Model,
): { weight: Float32Array; bias: Float32Array | null } {
  const [rowBlocks, columnBlocks] = b.type === 'block' ? [b.rowBlocks, b.columnBlocks] : [b.scales.length, 1];
  const weight = Float32Array.from(stored.codes(name, outFeatures * inFeatures), (code, i) => {
    const row = Math.floor((Math.floor(i / inFeatures) * rowBlocks) / outFeatures);
    const column = Math.floor(((i % inFeatures) * columnBlocks) / inFeatures);
    return code * (b.scales[row * columnBlocks + column] as number);
  });
  const bias = stored.bias(name, outFeatures);
  if (operand !== 'pixels') return { weight, bias };
  return unfoldPixels({ weight, bias: bias ?? new Float32Array(outFeatures) }, model.config.preprocessing);
}
