import type { LayerRecipe } from '../calibrate/recipe.ts';
import { isFloatQuantizer, isIntegerProduct, type IntegerOperands } from '../quantize/floatQuantizer.ts';
import { ExportError } from './errors.ts';

/**
 * A layer as integer inference takes it.
 *
 * @throws ExportError naming the layer whose codes have no product of integers, or that are made without their lowest: requantization
 *   writes all codes of a width
 */
export function integerLayer(layer: LayerRecipe): LayerRecipe & IntegerOperands {
  const { name, kind, a, b } = layer;
  if (!isIntegerProduct(layer)) {
    const type = isFloatQuantizer(a) ? a.type : b.type;
    throw new ExportError(
      `${name}: "${type}" codes have no product of integers; quantize it with one scale an operand`,
    );
  }
  for (const quantizer of kind === 'linear' ? [layer.a] : [layer.a, layer.b]) {
    if (quantizer.type !== 'uniform' || !quantizer.restricted) continue;
    throw new ExportError(`${name}: integer inference writes all codes of an activation; set integerRange "full"`);
  }
  return layer;
}
