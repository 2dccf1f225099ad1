import { FormatError } from '../io/errors.ts';
import { assertFinite, readF32, readI8 } from '../io/readTensor.ts';
import { parseSafetensors, type TensorEntry } from '../io/safetensors.ts';
import { searchedLayers, type Network } from '../model/graph.ts';
import type { Recipe } from './recipe.ts';

/**
 * Refuses a `weights.safetensors` that is not that of `recipe`: a missing or misshapen tensor, a code outside the width that
 * the recipe states (its products could wrap the accumulator), other scales than the recipe's, a bias that is not finite.
 *
 * @throws FormatError naming the file, the tensor and what was seen
 */
export function checkWeightsFit(recipe: Recipe, network: Network, bytes: Uint8Array, file: string): void {
  const { tensors } = parseSafetensors(bytes, file);
  const layers = new Map(recipe.layers.map((layer) => [layer.name, layer]));
  for (const operation of searchedLayers(network)) {
    const layer = layers.get(operation.name);
    if (operation.kind !== 'linear' || !layer) continue;
    const { name, outFeatures, inFeatures } = operation;
    const { bits, scales, restricted } = layer.b;
    const find = (suffix: string, shape: readonly number[]) => findTensor(tensors, `${name}.${suffix}`, shape, file);
    const q = 2 ** (bits - 1);
    const codes = readI8(find('codes', [outFeatures, inFeatures]));
    const low = restricted ? 1 - q : -q;
    const wrong = codes.findIndex((code) => code < low || code >= q);
    if (wrong >= 0) {
      throw new FormatError(
        `${file}: ${name}.codes holds ${codes[wrong]} at element ${wrong}, outside its ${bits} bits${restricted ? ', restricted' : ''}`,
      );
    }
    const stored = readF32(find('scales', [scales.length]));
    const other = scales.findIndex((scale, i) => scale !== stored[i]);
    if (other >= 0) {
      throw new FormatError(
        `${file}: ${name}.scales holds ${stored[other]} at element ${other}, the recipe ${scales[other]}; the two are not of one run`,
      );
    }
    if (operation.bias !== null || tensors.has(`${name}.bias`)) {
      assertFinite(`${name}.bias`, readF32(find('bias', [outFeatures])), file);
    }
  }
}

function findTensor(
  tensors: ReadonlyMap<string, TensorEntry>,
  name: string,
  shape: readonly number[],
  file: string,
): TensorEntry {
  const found = tensors.get(name);
  if (!found) throw new FormatError(`${file} has no tensor ${name}; quantize this model again`);
  if (found.shape.join() !== shape.join()) {
    throw new FormatError(`${file}: ${name} has shape [${found.shape.join(', ')}], expected [${shape.join(', ')}]`);
  }
  return found;
}
