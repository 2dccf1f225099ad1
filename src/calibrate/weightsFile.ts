import { writeSafetensors, type TensorToWrite } from '../io/safetensors.ts';
import { searchedLayers } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import type { CalibrationResult } from './calibrate.ts';
import type { QuantizedWeight } from './quantizeWeights.ts';

/**
 * The `weights.safetensors` of a recipe: for each quantized layer `<layer>.codes` (I8 `[out, in]`), `<layer>.scales` (F32, one
 * per equal run of output features) and `<layer>.bias` (F32 `[out]`), then every parameter that stays float under its own name.
 * Equal results give equal bytes.
 */
export function quantizedWeightsFile(model: Model, result: Pick<CalibrationResult, 'weights'>): Uint8Array {
  const tensors: TensorToWrite[] = [];
  const replaced = new Set<string>();
  for (const operation of searchedLayers(model.network)) {
    if (operation.kind !== 'linear') continue;
    const { codes, shape, scales, bias } = result.weights.get(operation.name) as QuantizedWeight;
    replaced.add(operation.weight);
    if (operation.bias !== null) replaced.add(operation.bias);
    tensors.push({ name: `${operation.name}.codes`, dtype: 'I8', shape, data: codes });
    tensors.push({ name: `${operation.name}.scales`, dtype: 'F32', shape: [scales.length], data: scales });
    if (bias) tensors.push({ name: `${operation.name}.bias`, dtype: 'F32', shape: [bias.length], data: bias });
  }
  for (const [name, { shape, values }] of model.parameters) {
    if (!replaced.has(name)) tensors.push({ name, dtype: 'F32', shape, data: values });
  }
  return writeSafetensors(tensors, { format: 'twinshift-weights', version: '1' });
}
