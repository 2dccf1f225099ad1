import type { LinearOperation } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { foldPixels } from './pixels.ts';

/** The weight that is quantized, f32 `[outFeatures, inFeatures]`, and the bias that goes with it: over pixel codes for `pixels`. */
export function layerWeight(
  model: Model,
  { weight, bias, operand, outFeatures }: LinearOperation,
): { weight: Float32Array; bias: Float32Array | null } {
  const values = parameter(model, weight);
  const shift = bias === null ? null : parameter(model, bias);
  if (operand !== 'pixels') return { weight: values, bias: shift };
  return foldPixels(values, shift ?? undefined, outFeatures, model.config.preprocessing);
}

function parameter(model: Model, name: string): Float32Array {
  const found = model.parameters.get(name);
  if (!found) throw new Error(`the model has no parameter ${name}`);
  return found.values;
}
