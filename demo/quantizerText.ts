/** A quantizer in words. */
import type { LayerRecipe } from '../src/index.ts';
import { significant } from './text.ts';

export interface QuantizerText {
  readonly kind: string;
  /** Its steps; empty where there is nothing to say. */
  readonly steps: string;
}

export function quantizerText(quantizer: LayerRecipe['a'] | LayerRecipe['b']): QuantizerText {
  const { bits } = quantizer;
  switch (quantizer.type) {
    case 'uniform':
      return { kind: `uniform, ${bits} bits`, steps: `${scalesText(quantizer.scales)}, per ${quantizer.granularity}` };
    case 'twin-softmax': {
      const { shift } = quantizer;
      const steps = `step ${powerOfTwo(1 - bits)} for large values, ${powerOfTwo(1 - bits - shift)} for small ones (shift ${shift})`;
      return { kind: `twin ranges, ${bits} bits`, steps };
    }
    case 'twin-gelu': {
      const { scaleR2, shift } = quantizer;
      const steps = `step ${significant(scaleR2)} above 0, ${significant(scaleR2 / 2 ** shift)} below (shift ${shift})`;
      return { kind: `twin ranges, ${bits} bits`, steps };
    }
    case 'pixels':
      return { kind: 'pixels, 8 bits', steps: 'exact' };
    default:
      return { kind: `${quantizer.type}, ${bits} bits`, steps: '' };
  }
}

/** `2⁻¹¹`. */
function powerOfTwo(exponent: number): string {
  const raised = [...String(exponent)].map((sign) => (sign === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(sign)]));
  return `2${raised.join('')}`;
}

function scalesText(scales: readonly number[]): string {
  const [least, most] = [Math.min(...scales), Math.max(...scales)];
  return least === most
    ? `step ${significant(least)}`
    : `${scales.length} steps of ${significant(least)} to ${significant(most)}`;
}
