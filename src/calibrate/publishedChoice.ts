import type { LayerPlan } from './operands.ts';
import type { LayerOptions } from './options.ts';

/** Splits 2^-i of probabilities that the published code tries. */
export const SPLITS = 20;

/**
 * Whether a layer is searched as the published code does: with its quantizers anywhere in the options, so that every layer of preset
 * `reference` is, or where codes have no product of integers.
 */
export function searchesAsPublished(plan: LayerPlan, options: LayerOptions): boolean {
  const { softmax, gelu } = options;
  return softmax === 'published-code' || gelu === 'published-code' || needsFloatProduct(plan, options);
}

/** Whether the options of a layer ask for codes without a product of integers. */
function needsFloatProduct(plan: LayerPlan, options: LayerOptions): boolean {
  if (plan.operand === 'post-softmax') return options.softmax === 'published-code';
  if (plan.kind === 'matmul') return false;
  if (options.weightGranularity === 'block') return true;
  if (plan.operand === 'pixels') return false;
  const uniform = plan.operand === 'plain' || options.gelu === 'uniform';
  const published = plan.operand === 'post-gelu' && options.gelu === 'published-code';
  return published || options.activationBlocks > 1 || (options.activationScaling === 'per-token' && uniform);
}

/** What `searchAsPublished` will cost, in candidates scored on all rows. */
export function publishedCandidates(plan: LayerPlan, options: LayerOptions): number {
  const { candidates, rounds, weightColumnBlocks, weightGranularity, activationBlocks } = options;
  if (plan.operand === 'post-softmax' && options.softmax !== 'uniform') return rounds * (SPLITS + candidates);
  if (plan.kind === 'matmul') return 2 * rounds * candidates;
  const right = weightGranularity === 'block' ? weightColumnBlocks : 1;
  const fixed = plan.operand === 'pixels' || options.activationScaling === 'per-token';
  return rounds * candidates * (right + (fixed ? 0 : activationBlocks));
}
