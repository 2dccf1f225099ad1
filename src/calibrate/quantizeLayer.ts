import type { BufferScope } from '../gpu/buffers.ts';
import type { ExecutionContext } from '../model/execute.ts';
import type { SearchedOperation, Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { multiplyAccumulates, productGeometry } from '../quantize/geometry.ts';
import { isIntegerProduct } from '../quantize/floatQuantizer.ts';
import { layerWeight } from '../quantize/layerWeight.ts';
import type { UnitCapture } from './captureUnit.ts';
import { compensateLayer } from './compensation/compensateLayer.ts';
import { compensationWork } from './compensation/compensationWork.ts';
import { layerPlan, prepareLayer } from './layerPlan.ts';
import { plannedCandidates, searchLayer } from './layerSearch.ts';
import type { LayerOptions } from './options.ts';
import { publishedCandidates, searchesAsPublished } from './publishedChoice.ts';
import { quantizeWeight, type QuantizedWeight } from './quantizeWeights.ts';
import type { LayerRecipe } from './recipe.ts';

/** What a calibration leaves of one layer. */
export interface QuantizedLayer {
  readonly layer: LayerRecipe;
  /** Undefined for products of two activations. */
  readonly weight: QuantizedWeight | undefined;
}

/** What the two steps of `quantizeLayer` will cost, in multiply-accumulates of candidates over `images` images: for progress. */
export interface LayerWork {
  readonly search: number;
  readonly compensation: number;
}

/** Reckons the work of a layer before it is done. */
export function layerWork(operation: SearchedOperation, unit: Unit, options: LayerOptions, images: number): LayerWork {
  const geometry = productGeometry(operation, unit);
  const plan = layerPlan(operation, options);
  const candidates = searchesAsPublished(plan, options)
    ? publishedCandidates(plan, options)
    : plannedCandidates(plan, geometry.depth, options);
  return {
    search: candidates * images * multiplyAccumulates(geometry),
    compensation: operation.kind === 'linear' && compensates(options) ? compensationWork(geometry, options, images) : 0,
  };
}

function compensates({ compensation, rounding, biasCorrection }: LayerOptions): boolean {
  return compensation !== 'none' || rounding !== 'nearest' || biasCorrection === 'layer';
}

/**
 * Chooses the quantizers of one captured layer, and then the codes and bias of its weight: the second step holds nothing of the search
 * but its result, so that another layer can be searched meanwhile.
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
): Promise<() => Promise<QuantizedLayer>> {
  const geometry = productGeometry(operation, unit);
  const chunks = captures.map(({ layers }) => layers.get(operation.name)).filter((chunk) => chunk !== undefined);
  const plan = layerPlan(operation, options);
  const scope = context.pool.scope();
  const searchScope = context.pool.scope();
  const release = (...ended: readonly BufferScope[]) => {
    for (const each of ended) each.release();
    context.pool.trim(); // layers need buffers of other sizes
  };
  try {
    const { problem, ranges } = await prepareLayer(context, model, operation, geometry, chunks, plan, options, scope);
    const { calibrator } = options;
    let layer: LayerRecipe;
    if (calibrator !== 'search') {
      const { calibrateRanges } = await import('./ranges/calibrateRanges.ts');
      layer = await calibrateRanges(context, problem, plan, options, calibrator, ranges);
    } else if (searchesAsPublished(plan, options)) {
      const { searchAsPublished } = await import('./publishedSearch.ts');
      layer = await searchAsPublished(context, problem, plan, options, ranges, onCandidates);
    } else {
      layer = await searchLayer(context, problem, plan, ranges, options, searchScope, onCandidates);
    }
    release(searchScope);
    return async () => {
      try {
        if (operation.kind === 'matmul') return { layer, weight: undefined };
        const weight = await quantizeWeight(context, model, operation, layer.b);
        if (!compensates(options) || !isIntegerProduct(layer)) return { layer, weight };
        const { a, b } = layer;
        const searched = { ...layerWeight(model, operation), a, b, options };
        const { b: own, codes, bias, score, scoreOfNearest } = await compensateLayer(context, problem, searched);
        const lowered = scoreOfNearest > 0 ? layer.score * (score / scoreOfNearest) : layer.score;
        const scales = Float32Array.from(own.scales);
        return { layer: { ...layer, b: own, score: lowered }, weight: { ...weight, codes, bias, scales } };
      } finally {
        release(scope);
      }
    };
  } catch (error) {
    release(searchScope, scope);
    throw error;
  }
}
