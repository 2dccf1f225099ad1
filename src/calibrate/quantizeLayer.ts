import type { ExecutionContext } from '../model/execute.ts';
import type { SearchedOperation, Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { multiplyAccumulates, productGeometry } from '../quantize/geometry.ts';
import type { UnitCapture } from './captureUnit.ts';
import { layerPlan, prepareLayer } from './layerPlan.ts';
import { plannedCandidates, searchLayer } from './layerSearch.ts';
import type { LayerOptions } from './options.ts';
import { quantizeWeight, type QuantizedWeight } from './quantizeWeights.ts';
import type { LayerRecipe } from './recipe.ts';

/** What a calibration leaves of one layer. */
export interface QuantizedLayer {
  readonly layer: LayerRecipe;
  /** Undefined for products of two activations. */
  readonly weight: QuantizedWeight | undefined;
}

/** What `quantizeLayer` will cost, in multiply-accumulates of candidates over `images` images: for progress, before it is run. */
export function layerWork(operation: SearchedOperation, unit: Unit, options: LayerOptions, images: number): number {
  const geometry = productGeometry(operation, unit);
  const candidates = plannedCandidates(layerPlan(operation, options), geometry.depth, options);
  return candidates * images * multiplyAccumulates(geometry);
}

/**
 * Chooses the quantizers of one captured layer and the codes of its weight.
 *
 * @param onCandidates told how many candidates were scored, one on a share of the rows counting as that share
 * @throws CalibrationError naming the layer when its images or weights cannot be searched
 */
export async function quantizeLayer(
  context: ExecutionContext,
  model: Model,
  unit: Unit,
  operation: SearchedOperation,
  captures: readonly UnitCapture[],
  options: LayerOptions,
  onCandidates: (count: number) => void,
): Promise<QuantizedLayer> {
  const geometry = productGeometry(operation, unit);
  const chunks = captures.map(({ layers }) => layers.get(operation.name)).filter((chunk) => chunk !== undefined);
  const plan = layerPlan(operation, options);
  const scope = context.pool.scope();
  try {
    const { problem, ranges } = await prepareLayer(context, model, operation, geometry, chunks, plan, options, scope);
    const layer = await searchLayer(context, problem, plan, ranges, options, scope, onCandidates);
    if (operation.kind === 'matmul') return { layer, weight: undefined };
    return { layer, weight: await quantizeWeight(context, model, operation, layer.b) };
  } finally {
    scope.release();
    context.pool.trim(); // layers need buffers of other sizes
  }
}
