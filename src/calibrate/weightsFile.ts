import { writeSafetensors, type TensorToWrite } from '../io/safetensors.ts';
import { searchedLayers } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import type { QuantizedWeight } from './quantizeWeights.ts';

/**
 * The `weights.safetensors` of a recipe: for each quantized layer `<layer>.codes` (I8 `[out, in]`), `<layer>.scales` (F32, one
 * per equal run of output features) and `<layer>.bias` (F32 `[out]`), then every parameter that stays float under its own name.
 * Equal results give equal bytes.
 */
export function quantizedWeightsFile({
  prepared,
  weights,
}: {
  readonly prepared: Model;
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
}): Uint8Array {
  const tensors: TensorToWrite[] = [];
  const replaced = new Set<string>();
  for (const operation of searchedLayers(prepared.network)) {
    if (operation.kind !== 'linear') continue;
    const weight = weights.get(operation.name) as QuantizedWeight;
    replaced.add(operation.weight);
    if (operation.bias !== null) replaced.add(operation.bias);
    tensors.push(...weightTensors(operation.name, weight));
  }
  for (const [name, { shape, values }] of prepared.parameters) {
    if (!replaced.has(name)) tensors.push({ name, dtype: 'F32', shape, data: values });
  }
  return writeSafetensors(tensors, { format: 'twinshift-weights', version: '1' });
}

/** The tensors of one quantized weight in a file. */
export function weightTensors(layer: string, { codes, shape, scales, bias }: QuantizedWeight): TensorToWrite[] {
  return [
    { name: `${layer}.codes`, dtype: 'I8', shape, data: codes },
    { name: `${layer}.scales`, dtype: 'F32', shape: [scales.length], data: scales },
    ...(bias ? [{ name: `${layer}.bias`, dtype: 'F32' as const, shape: [bias.length], data: bias }] : []),
  ];
}
