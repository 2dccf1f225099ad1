import { modelSizes, type ModelSizes } from '../model/config.ts';
import type { SearchedOperation } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { multiplyAccumulates, productGeometry } from '../quantize/geometry.ts';
import { checkOptions } from './checkOptions.ts';
import { layerPlan } from './layerPlan.ts';
import { layerOptions, type CalibrationOptions, type LayerOptions, type ShapedQuantizer } from './options.ts';

/** How one operand of a product will be quantized. */
export interface OperandDescription {
  readonly type: 'uniform' | 'twin-softmax' | 'twin-gelu' | 'pixels' | 'levels' | 'best by score' | 'published';
  readonly bits: number;
  /** What has a scale of its own; null where the scale is not searched. */
  readonly granularity: 'tensor' | 'part' | 'head' | 'channel' | 'block' | null;
}

/** A product that will be quantized: `windows * heads` times `[rows, depth] x [depth, columns]` an image. */
export interface LayerDescription {
  readonly name: string;
  readonly kind: 'linear' | 'matmul';
  /** Of attention; 1 for a ViT. */
  readonly windows: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  /** Multiply-accumulates an image. */
  readonly macs: number;
  /** Weights and biases; 0 for products of two activations. */
  readonly parameters: number;
  /** Of the parameters as f32. */
  readonly floatBytes: number;
  /** Of the quantized weights as stored: a byte each. */
  readonly quantizedBytes: number;
  readonly a: OperandDescription;
  readonly b: OperandDescription;
}

export interface ModelDescription extends ModelSizes {
  readonly weightsSha256: string;
  readonly parameters: number;
  /** Of all parameters as f32. */
  readonly floatBytes: number;
  /** Multiply-accumulates an image of the quantized products. */
  readonly macs: number;
  readonly layers: readonly LayerDescription[];
}

/**
 * What a model consists of, and how `options` would have its products quantized. Scales are found by calibration only.
 *
 * @throws OptionsError when they cannot be carried out
 */
export function describeModel(model: Model, options: CalibrationOptions): ModelDescription {
  checkOptions(model.network, options);
  const layers = model.network.units.flatMap((unit) =>
    unit.operations.flatMap((operation): LayerDescription[] => {
      if (operation.kind !== 'linear' && operation.kind !== 'matmul') return [];
      const geometry = productGeometry(operation, unit);
      const weights = operation.kind === 'linear' ? operation.inFeatures * operation.outFeatures : 0;
      const biases = operation.kind === 'linear' && operation.bias !== null ? operation.outFeatures : 0;
      return [
        {
          name: operation.name,
          kind: operation.kind,
          windows: geometry.windows,
          heads: geometry.heads,
          rows: geometry.rows,
          depth: geometry.depth,
          columns: geometry.columns,
          macs: multiplyAccumulates(geometry),
          parameters: weights + biases,
          floatBytes: 4 * (weights + biases),
          quantizedBytes: weights,
          ...operands(operation, layerOptions(options, operation.name)),
        },
      ];
    }),
  );
  const parameters = [...model.parameters.values()].reduce((sum, { values }) => sum + values.length, 0);
  return {
    ...modelSizes(model.config),
    weightsSha256: model.weightsSha256,
    parameters,
    floatBytes: 4 * parameters,
    macs: layers.reduce((sum, { macs }) => sum + macs, 0),
    layers,
  };
}

function operands(
  operation: SearchedOperation,
  options: LayerOptions,
): { a: OperandDescription; b: OperandDescription } {
  const { aBits, bBits } = layerPlan(operation, options);
  const isLinear = operation.kind === 'linear';
  const perHead = options.attentionGranularity;
  const b = {
    type: 'uniform',
    bits: bBits,
    granularity: isLinear ? options.weightGranularity : perHead,
  } as const;
  switch (operation.operand) {
    case 'pixels':
      return { a: { type: 'pixels', bits: aBits, granularity: null }, b };
    case 'post-softmax':
      return { a: { type: shapedType(options.softmax, 'softmax', aBits), bits: aBits, granularity: 'tensor' }, b };
    case 'post-gelu':
      return { a: { type: shapedType(options.gelu, 'gelu', aBits), bits: aBits, granularity: 'tensor' }, b };
    case 'plain':
      return { a: { type: 'uniform', bits: aBits, granularity: isLinear ? 'tensor' : perHead }, b };
  }
}

function shapedType(wanted: ShapedQuantizer, kind: 'softmax' | 'gelu', bits: number): OperandDescription['type'] {
  if (wanted === 'twin' || (wanted === 'auto' && bits === 8)) return `twin-${kind}`;
  if (wanted === 'log2' || wanted === 'adaptive-log' || wanted === 'auto') return 'levels';
  return wanted === 'best' ? 'best by score' : wanted === 'published-code' ? 'published' : 'uniform';
}
