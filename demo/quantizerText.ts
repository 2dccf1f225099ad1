/** A quantizer in words. */
import type { LayerRecipe } from '../src/index.ts';
import { significant } from './text.ts';

export function quantizerText(quantizer: LayerRecipe['a'] | LayerRecipe['b']): string {
  const { bits } = quantizer;
  switch (quantizer.type) {
    case 'uniform':
      return `uniform, ${bits} bits, ${scalesText(quantizer.scales)} (per ${quantizer.granularity})`;
    case 'twin-softmax':
      return `twin ranges, ${bits} bits, step 2^-${bits - 1} for large values, 2^-${bits - 1 + quantizer.shift} for small ones (shift ${quantizer.shift})`;
    case 'twin-gelu':
      return `twin ranges, ${bits} bits, step ${significant(quantizer.scaleR2)} above 0, ${significant(quantizer.scaleR2 / 2 ** quantizer.shift)} below (shift ${quantizer.shift})`;
    case 'pixels':
      return 'pixels, 8 bits, exact';
    default:
      return `${quantizer.type}, ${bits} bits`;
  }
}

function scalesText(scales: readonly number[]): string {
  const [least, most] = [Math.min(...scales), Math.max(...scales)];
  return least === most
    ? `step ${significant(least)}`
    : `${scales.length} steps ${significant(least)} … ${significant(most)}`;
}
