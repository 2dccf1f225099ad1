import { isIntegerProduct, type RightQuantizer } from '../../quantize/floatQuantizer.ts';
import { steps } from '../../quantize/quantizer.ts';
import type { LayerRecipe } from '../../calibrate/recipe.ts';
import type { OnnxGraph } from './graph.ts';

/** A weight as a product takes it. */
export interface WeightShape {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** Values of the codes `[outFeatures][inFeatures]` of a weight: int8 constants `[inFeatures, outFeatures]`, dequantized. */
export function dequantizedWeight(
  graph: OnnxGraph,
  codes: Int8Array,
  { name, inFeatures, outFeatures }: WeightShape,
  quantizer: RightQuantizer,
): string {
  const values = transposed(codes, outFeatures, inFeatures);
  const stored = graph.constant({ type: 'int8', values }, [inFeatures, outFeatures], `${name}.codes`);
  if (quantizer.type === 'uniform') {
    const scales = Float32Array.from(outputScales(quantizer.scales, outFeatures));
    const one = quantizer.scales.length === 1;
    const data = { type: 'float', values: one ? scales.subarray(0, 1) : scales } as const;
    const scale = graph.constant(data, one ? [] : [outFeatures], `${name}.scales`);
    return graph.node('DequantizeLinear', [stored, scale], one ? {} : { axis: 1 });
  }
  const { rowBlocks, columnBlocks, scales } = quantizer;
  const blocks = transposed(Float32Array.from(scales), rowBlocks, columnBlocks);
  const grid = graph.constant({ type: 'float', values: blocks }, [columnBlocks, rowBlocks], `${name}.scales`);
  const spread = (count: number, groups: number) =>
    graph.integers(Array.from({ length: count }, (_, i) => Math.floor((i * groups) / count)));
  const rows = graph.node('Gather', [grid, spread(inFeatures, columnBlocks)], { axis: 0 });
  const each = graph.node('Gather', [rows, spread(outFeatures, rowBlocks)], { axis: 1 });
  return graph.node('Mul', [graph.node('DequantizeLinear', [stored, graph.float(1)]), each]);
}

/** Bits of a bias below one unit of the product: rounding to whole units can be seen in the logits of narrow codes. */
const BIAS_FRACTION = 8;

/**
 * A bias, int32 in 256ths of the product of both steps (coarser where int32 does not hold it), dequantized; f32 where the product has
 * no common step.
 */
export function dequantizedBias(
  graph: OnnxGraph,
  bias: Float32Array,
  { name, outFeatures }: WeightShape,
  layer: LayerRecipe,
): string {
  if (!isIntegerProduct(layer)) {
    return graph.constant({ type: 'float', values: bias }, [outFeatures], `${name}.bias`);
  }
  const step = steps(layer.a)[0] as number;
  const scales = Float32Array.from(outputScales(layer.b.scales, outFeatures), (scale, i) =>
    Math.max(step * scale * 2 ** -BIAS_FRACTION, Math.abs(bias[i] as number) * 2 ** -30, 2 ** -126),
  );
  const values = Int32Array.from(bias, (value, i) => Math.round(value / (scales[i] as number)));
  const stored = graph.constant({ type: 'int32', values }, [outFeatures], `${name}.bias`);
  const scale = graph.constant({ type: 'float', values: scales }, [outFeatures], `${name}.biasScales`);
  return graph.node('DequantizeLinear', [stored, scale], { axis: 0 });
}

/** The scale of each output feature, of equal runs of them. */
export function outputScales(scales: readonly number[], outFeatures: number): number[] {
  return Array.from({ length: outFeatures }, (_, i) => scales[Math.floor((i * scales.length) / outFeatures)] as number);
}

/** `[rows][columns]` as `[columns][rows]`. */
export function transposed<T extends Int8Array | Float32Array>(values: T, rows: number, columns: number): T {
  const turned = values.slice() as T;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = values[row * columns + column] as number;
    }
  }
  return turned;
}
