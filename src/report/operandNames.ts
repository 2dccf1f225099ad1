import type { LayerReport } from '../calibrate/layerReport.ts';

/** What the two operands of a searched product are. */
export function operandNames({ kind, operand }: Pick<LayerReport, 'kind' | 'operand'>): readonly [string, string] {
  if (kind === 'linear') return [operand === 'pixels' ? 'pixels' : 'activations', 'weights'];
  return operand === 'post-softmax' ? ['probabilities', 'values of attention'] : ['queries', 'keys'];
}
