import type { LayerRecipe, Recipe } from '../../src/calibrate/recipe.ts';
import { readF32, readI8 } from '../../src/io/readTensor.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { normalizePixels, type Preprocessing } from '../../src/io/preprocess.ts';
import type { LinearOperation, MatrixView, SearchedOperation } from '../../src/model/graph.ts';
import { searchedLayers } from '../../src/model/graph.ts';
import type { Model, Parameter } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import type { LeftQuantizer } from '../../src/quantize/floatQuantizer.ts';
import { steps } from '../../src/quantize/quantizer.ts';
import { fakeQuantizedValue } from '../../src/reference/fakeQuantize.ts';
import { nearestLevels } from '../../src/reference/quantizeLevels.ts';
import { quantizeTwinGeluReference } from '../../src/reference/quantizeTwinGelu.ts';
import { quantizeTwinSoftmaxReference } from '../../src/reference/quantizeTwinSoftmax.ts';
import { uniformCode } from '../../src/reference/quantizeUniform.ts';
import { doubleForward } from './doubleForward.ts';

/**
 * Logits of one image under a recipe: operands through the reference quantizers, or the weights alone, everything between in double.
 */
export function quantizedForward(
  model: Model,
  recipe: Recipe,
  weightsFile: Uint8Array,
  rgb: Uint8Array,
  operands: 'both' | 'weights' = 'both',
): Float64Array {
  const { tensors } = parseSafetensors(weightsFile, 'weights.safetensors');
  const layers = new Map(recipe.layers.map((layer) => [layer.name, layer]));
  const parameters = new Map<string, Parameter>(
    [...tensors.values()]
      .filter(({ dtype }) => dtype === 'F32')
      .map((entry) => [entry.name, { shape: entry.shape, values: readF32(entry) }]),
  );
  const isLinear = (operation: SearchedOperation): operation is LinearOperation => operation.kind === 'linear';
  for (const { name, weight, inFeatures, outFeatures } of searchedLayers(model.network).filter(isLinear)) {
    const codes = readI8(tensors.get(`${name}.codes`)!);
    parameters.set(weight, {
      shape: [outFeatures, inFeatures],
      values: weightValues(codes, outFeatures, layers.get(name)!),
    });
  }
  // a calibration may add a bias where the float layer has none
  const withBias = <T>(operation: T): T => {
    const { kind, name } = operation as { kind: string; name: string };
    return kind === 'linear' ? { ...operation, bias: tensors.has(`${name}.bias`) ? `${name}.bias` : null } : operation;
  };
  const units = model.network.units.map((unit) => ({ ...unit, operations: unit.operations.map(withBias) }));
  const quantized = { ...model, parameters, network: { ...model.network, units } };
  const patches = unfoldPatches(normalizePixels(rgb, model.config.preprocessing), model.config);
  const { preprocessing } = model.config;
  return doubleForward(quantized, patches, undefined, undefined, (operation, side, values) => {
    const layer = layers.get(operation.name)!;
    if (layer.a.type === 'pixels') {
      return pixelCodes(values, (operation as LinearOperation).inFeatures, preprocessing);
    }
    if (operands === 'weights') return values;
    const quantizer = side === 'a' ? layer.a : (layer.b as LeftQuantizer);
    if (operation.kind === 'linear') {
      const { inFeatures } = operation;
      const rows = Array.from({ length: operation.rows }, (_, row) =>
        values.subarray(row * inFeatures, (row + 1) * inFeatures),
      );
      return Float64Array.from(rows.flatMap((row) => [...quantizedRow(Float32Array.from(row), quantizer, 0)]));
    }
    const sizes = side === 'a' ? [operation.rows, operation.depth] : [operation.depth, operation.columns];
    return matrices(
      values,
      operation[side],
      operation.windows,
      operation.heads,
      sizes as [number, number],
      (row, head) => quantizedRow(row, quantizer, head),
    );
  });
}

/** Values of the codes of one row of an operand. */
export function quantizedRow(row: Float32Array, quantizer: LeftQuantizer, head: number): Float64Array {
  const { bits } = quantizer;
  const q = 2 ** (bits - 1);
  const low = 'restricted' in quantizer && quantizer.restricted ? 1 - q : -q;
  const fake = (kind: Parameters<typeof fakeQuantizedValue>[2]['kind'], table: (i: number) => number[], largest = 0) =>
    Float64Array.from(row, (x, i) =>
      fakeQuantizedValue(x, Float32Array.from(table(i)), { kind, low, high: q - 1 }, largest),
    );
  const run = (scales: readonly number[], i: number) => scales[Math.floor((i * scales.length) / row.length)]!;
  switch (quantizer.type) {
    case 'uniform': {
      const { scales, zeroPoint = 0, restricted = false } = quantizer;
      const scale = scales[scales.length === 1 ? 0 : head]!;
      const offset = { restricted, zero: zeroPoint };
      return Float64Array.from(row, (x) => (uniformCode(x, Math.fround(1 / scale), bits, offset) - zeroPoint) * scale);
    }
    case 'twin-softmax':
    case 'twin-gelu': {
      const fine = steps(quantizer)[0]!;
      const coarse = fine * 2 ** quantizer.shift;
      if (quantizer.type === 'twin-softmax') {
        const codes = quantizeTwinSoftmaxReference(row, quantizer);
        return Float64Array.from(codes, (code) => (code >= q ? (code - q) * coarse : code * fine));
      }
      const codes = quantizeTwinGeluReference(row, {
        bits,
        inverseR1: Math.fround(1 / fine),
        inverseR2: Math.fround(1 / coarse),
      });
      return Float64Array.from(codes, (code) => (code >= q ? (code - q) * coarse : -code * fine));
    }
    case 'levels':
      return Float64Array.from(nearestLevels(row, quantizer), (level) => level * quantizer.step);
    case 'per-token': {
      const largest = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      return fake('per-token', () => [q - 0.5, 1 / (q - 0.5), 0, 0], largest);
    }
    case 'block':
      return fake('uniform', (i) => [run(quantizer.scales, i), 1 / run(quantizer.scales, i), 0, 0]);
    case 'published-gelu': {
      const { scales, negativeScale } = quantizer;
      return fake('signed-ranges', (i) => [run(scales, i), 1 / run(scales, i), negativeScale, 1 / negativeScale]);
    }
    case 'published-softmax': {
      const { split } = quantizer;
      return fake('published-softmax', () => [split / (q - 1), (q - 1) / split, split, 1 / (q - 1)]);
    }
    case 'pixels':
      throw new Error('pixels are codes already');
  }
}

/** `values` with every row of every matrix of a view changed. */
function matrices(
  values: Float64Array,
  view: MatrixView,
  windows: number,
  heads: number,
  [rows, columns]: [number, number],
  change: (row: Float32Array, head: number) => Float64Array,
): Float64Array {
  const changed = values.slice();
  const size = values.length / windows;
  for (let window = 0; window < windows; window++) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const at = (column: number) =>
          window * size + view.offset + head * view.headStride + row * view.rowStride + column * view.columnStride;
        const line = Float32Array.from({ length: columns }, (_, column) => values[at(column)]!);
        change(line, head).forEach((value, column) => (changed[at(column)] = value));
      }
    }
  }
  return changed;
}

function weightValues(codes: Int8Array, outFeatures: number, { b }: LayerRecipe): Float32Array {
  const inFeatures = codes.length / outFeatures;
  const [rowBlocks, columnBlocks] = b.type === 'block' ? [b.rowBlocks, b.columnBlocks] : [b.scales.length, 1];
  return Float32Array.from(codes, (code, i) => {
    const row = Math.floor((Math.floor(i / inFeatures) * rowBlocks) / outFeatures);
    return code * b.scales[row * columnBlocks + Math.floor(((i % inFeatures) * columnBlocks) / inFeatures)]!;
  });
}

/** Rows of `width` normalised values, a third of them of each channel, as pixel codes. */
function pixelCodes(rows: Float64Array, width: number, { mean, std, rescale }: Preprocessing): Float64Array {
  return rows.map((x, i) => {
    const channel = Math.floor((3 * (i % width)) / width);
    return Math.round((x * std[channel]! + mean[channel]!) / rescale) - 128;
  });
}
