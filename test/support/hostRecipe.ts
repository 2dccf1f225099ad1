import { calibrationOptions } from '../../src/calibrate/presets.ts';
import type { LayerRecipe, Recipe } from '../../src/calibrate/recipe.ts';
import type { QuantizedWeight } from '../../src/calibrate/quantizeWeights.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import type { MatrixView, SearchedOperation } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { storedConfig } from '../../src/model/storedConfig.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { layerWeight } from '../../src/quantize/layerWeight.ts';
import { initialScale, type ActivationQuantizer, type UniformQuantizer } from '../../src/quantize/quantizer.ts';
import { doubleForward } from './doubleForward.ts';

/** Logits of a random network that are not masked lie below. */
const UNMASKED = 50;

/** A recipe without a search: ranges that just hold the largest values of these images, computed in double on the host. */
export function hostRecipe(
  model: Model,
  images: readonly Uint8Array[],
  { weightBits = 8, activationBits = 8 } = {},
): { recipe: Recipe; weights: Uint8Array } {
  const tensors = largestTensors(model, images);
  const quantized = new Map<string, QuantizedWeight>();
  const layers: LayerRecipe[] = [];
  const ranges: Record<string, number> = {};
  const nonlinear: Recipe['integer']['nonlinear'][number][] = [];
  const errors = { shift: 1, 'shift-fixed': 0.1, poly: 0.01, lut: 0.001 };
  for (const unit of model.network.units) {
    const values = (tensor: string) => tensors.get(`${unit.name}.${tensor}`) as Float64Array;
    const largest = (tensor: string, bound = Infinity) =>
      values(tensor).reduce((most, x) => (Math.abs(x) < bound ? Math.max(most, Math.abs(x)) : most), 0);
    for (const operation of unit.operations) {
      switch (operation.kind) {
        case 'linear': {
          const b = quantizeWeight(model, operation, weightBits, quantized);
          const a = leftQuantizer(operation, activationBits, largest(operation.input));
          layers.push({ name: operation.name, kind: 'linear', a, b, score: 0 });
          break;
        }
        case 'matmul': {
          const perHead = (view: MatrixView) => headScales(operation.heads, view, values(view.tensor), activationBits);
          const a =
            operation.operand === 'post-softmax' ? leftQuantizer(operation, activationBits, 1) : perHead(operation.a);
          layers.push({ name: operation.name, kind: 'matmul', a, b: perHead(operation.b), score: 0 });
          break;
        }
        case 'add':
        case 'tokens': {
          const inputs = operation.kind === 'add' ? [operation.a, operation.b] : [operation.input];
          for (const tensor of [...inputs, operation.output]) ranges[`${unit.name}.${tensor}`] = largest(tensor);
          break;
        }
        case 'gelu':
          ranges[`${unit.name}.${operation.input}`] = largest(operation.input);
          nonlinear.push({ name: operation.name, kind: 'gelu', method: 'lut', errors });
          break;
        case 'meanRows':
          ranges[`${unit.name}.${operation.input}`] = largest(operation.input);
          break;
        case 'softmax':
          ranges[`${unit.name}.${operation.input}`] = largest(operation.input, UNMASKED) * operation.scale;
          nonlinear.push({ name: operation.name, kind: 'softmax', method: 'lut', errors });
          break;
        case 'layerNorm':
          ranges[`${unit.name}.${operation.input}`] = largest(operation.input);
          if (nonlinear.some(({ name }) => name === operation.name)) break;
          nonlinear.push({ name: operation.name, kind: 'layerNorm', method: 'shift-fixed', errors });
      }
    }
    if (unit === model.network.units.at(-1)) ranges[`${unit.name}.${unit.output}`] = largest(unit.output);
  }
  const recipe: Recipe = {
    format: 'twinshift-recipe',
    version: 4,
    model: {
      architecture: model.config.architecture,
      weightsSha256: model.weightsSha256,
      config: storedConfig(model.config),
    },
    options: calibrationOptions('default', { weightBits, activationBits }),
    images: images.map((_, i) => ({ file: `${i}.png`, sha256: '0'.repeat(64) })),
    meanWeightBits: weightBits,
    meanActivationBits: activationBits,
    layers,
    integer: { ranges, nonlinear },
  };
  return { recipe, weights: quantizedWeightsFile({ prepared: model, weights: quantized }) };
}

/** Every tensor by `<unit>.<tensor>`, each element the one of largest magnitude over the images. */
function largestTensors(model: Model, images: readonly Uint8Array[]): Map<string, Float64Array> {
  const tensors = new Map<string, Float64Array>();
  for (const rgb of images) {
    const patches = unfoldPatches(normalizePixels(rgb, model.config.preprocessing), model.config);
    doubleForward(model, patches, undefined, (unit, tensor, values) => {
      const name = `${unit.name}.${tensor}`;
      const before = tensors.get(name);
      const most = (x: number, i: number) => (before && Math.abs(before[i]!) > Math.abs(x) ? before[i]! : x);
      tensors.set(name, values.map(most));
    });
  }
  return tensors;
}

function leftQuantizer({ operand }: SearchedOperation, bits: number, largest: number): ActivationQuantizer {
  switch (operand) {
    case 'pixels':
      return { type: 'pixels', bits: 8 };
    case 'post-softmax':
      return { type: 'twin-softmax', bits, shift: 4, boundary: 'nearest' };
    case 'post-gelu':
      return { type: 'twin-gelu', bits, scaleR2: initialScale(largest, bits), shift: 2 };
    case 'plain':
      return { type: 'uniform', bits, granularity: 'tensor', scales: [initialScale(largest, bits)] };
  }
}

function headScales(heads: number, view: MatrixView, values: Float64Array, bits: number): UniformQuantizer {
  const features = Math.max(view.rowStride, view.columnStride);
  const scales = Array.from({ length: heads }, (_, head) => {
    const first = view.offset + head * view.headStride;
    const own = values.filter((_, i) => i % features >= first && i % features < first + view.headStride);
    return initialScale(
      own.reduce((most, x) => Math.max(most, Math.abs(x)), 0),
      bits,
    );
  });
  return { type: 'uniform', bits, granularity: 'head', scales };
}

function quantizeWeight(
  model: Model,
  operation: SearchedOperation & { readonly kind: 'linear' },
  bits: number,
  quantized: Map<string, QuantizedWeight>,
): UniformQuantizer {
  const { outFeatures, inFeatures, name } = operation;
  const { weight, bias } = layerWeight(model, operation);
  const scales = Float32Array.from({ length: outFeatures }, (_, i) => {
    const row = weight.subarray(i * inFeatures, (i + 1) * inFeatures);
    return initialScale(
      row.reduce((most, x) => Math.max(most, Math.abs(x)), 0),
      bits,
    );
  });
  const q = 2 ** (bits - 1);
  const codes = Int8Array.from(weight, (x, i) => {
    return Math.max(-q, Math.min(Math.round(x / scales[Math.floor(i / inFeatures)]!), q - 1));
  });
  quantized.set(name, { codes, shape: [outFeatures, inFeatures], scales, bias });
  return { type: 'uniform', bits, granularity: 'channel', scales: [...scales] };
}
