import type { GpuContext } from '../quantize/context.ts';
import { isFloatQuantizer, type LeftQuantizer, type RightQuantizer } from '../quantize/floatQuantizer.ts';
import type { ActivationQuantizer, UniformQuantizer } from '../quantize/quantizer.ts';
import { scoreCandidates, type LayerProblem, type ScoreGroups } from './layerScorer.ts';

/** `scoreCandidates` where codes have an integer product, `scoreFloatCandidates` where they have none or b stays unquantized. */
export async function scorePairs(
  context: GpuContext,
  problem: LayerProblem,
  a: readonly LeftQuantizer[],
  b: readonly RightQuantizer[] | 'unquantized',
  groups: ScoreGroups,
  onBatch: (share: number) => void,
): Promise<Float64Array[]> {
  if (b !== 'unquantized' && a.every(isInteger) && b.every(isUniform)) {
    return scoreCandidates(context, problem, a, b, groups, onBatch);
  }
  const { scoreFloatCandidates } = await import('./floatScorer.ts');
  return scoreFloatCandidates(context, problem, a, b, groups, onBatch);
}

function isInteger(quantizer: LeftQuantizer): quantizer is ActivationQuantizer {
  return !isFloatQuantizer(quantizer);
}

function isUniform(quantizer: RightQuantizer): quantizer is UniformQuantizer {
  return quantizer.type === 'uniform';
}
