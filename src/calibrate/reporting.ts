import { isSearched, type SearchedOperation, type Unit } from '../model/graph.ts';
import type { UnitCapture } from './captureUnit.ts';
import type { LayerReport } from './layerReport.ts';
import type { QuantizedLayer } from './quantizeLayer.ts';
import type { LayerRecipe } from './recipe.ts';
import { visitUnit, type Walk } from './sweep.ts';

/** Who wants reports of finished layers. */
export type OnLayer = (report: LayerReport, layer: LayerRecipe) => void;

/** Reports one layer that was searched in `milliseconds`; without a listener nothing is computed or loaded. */
export async function report(
  onLayer: OnLayer | undefined,
  { context, model }: Pick<Walk, 'context' | 'model'>,
  { unit, operation }: { readonly unit: Unit; readonly operation: SearchedOperation },
  captures: readonly UnitCapture[],
  result: QuantizedLayer,
  milliseconds: number,
): Promise<void> {
  if (!onLayer) return;
  const { reportLayer } = await import('./layerReport.ts');
  onLayer(await reportLayer(context, model, unit, operation, captures, result, milliseconds), result.layer);
}

/** Reports the layers of a unit that was taken from a checkpoint: it is captured again. */
export async function reportSaved(
  onLayer: OnLayer | undefined,
  walk: Walk,
  unit: Unit,
  inputs: readonly Float32Array[],
  gradients: readonly Float32Array[] | undefined,
  results: ReadonlyMap<string, QuantizedLayer>,
): Promise<void> {
  if (!onLayer) return;
  const nothing = () => undefined;
  await visitUnit(walk, unit, inputs, gradients, nothing, async (captures) => {
    for (const operation of unit.operations.filter(isSearched)) {
      await report(onLayer, walk, { unit, operation }, captures, results.get(operation.name) as QuantizedLayer, 0);
    }
  });
}
