import type { LayerRecipe, Recipe } from '../../src/calibrate/recipe.ts';
import { isFloatQuantizer, type LeftQuantizer, type RightQuantizer } from '../../src/quantize/floatQuantizer.ts';
import { steps, twinShift } from '../../src/quantize/quantizer.ts';

/** Where two recipes of one model differ. */
export interface RecipeDifference {
  readonly scales: number;
  readonly differentScales: number;
  readonly differentShifts: number;
  /** Largest |score / other score - 1| of a layer, and its name. */
  readonly worstScore: number;
  readonly worstLayer: string;
}

function scalesOf(quantizer: LeftQuantizer | RightQuantizer): readonly number[] {
  if ('scales' in quantizer) return quantizer.scales;
  return isFloatQuantizer(quantizer) ? [] : steps(quantizer);
}

function shiftOf(quantizer: LeftQuantizer): number {
  return isFloatQuantizer(quantizer) ? 0 : twinShift(quantizer);
}

export function compareRecipes(one: Recipe, other: Recipe): RecipeDifference {
  let scales = 0;
  let differentScales = 0;
  let differentShifts = 0;
  let worstScore = 0;
  let worstLayer = '';
  one.layers.forEach((layer, i) => {
    const second = other.layers[i] as LayerRecipe;
    for (const side of ['a', 'b'] as const) {
      const [first, last] = [scalesOf(layer[side]), scalesOf(second[side])];
      scales += first.length;
      differentScales += first.filter((scale, g) => scale !== last[g]).length;
    }
    if (shiftOf(layer.a) !== shiftOf(second.a)) differentShifts++;
    const ratio = Math.abs(layer.score / second.score - 1);
    if (ratio > worstScore) [worstScore, worstLayer] = [ratio, layer.name];
  });
  return { scales, differentScales, differentShifts, worstScore, worstLayer };
}
