import { searchedLayers, type Network } from '../model/graph.ts';
import { OptionsError } from './errors.ts';
import { layerPlan } from './layerPlan.ts';
import { hasZeroPoint, type LayerPlan } from './operands.ts';
import { layerOptions, matches, type CalibrationOptions, type LayerOptions } from './options.ts';
import { searchesAsPublished } from './publishedChoice.ts';

/**
 * Refuses, before any image is looked at, what a calibration of this network would stumble over.
 *
 * @throws OptionsError naming the rule that matches no layer, or the layer whose options cannot be carried out
 */
export function checkOptions(network: Network, options: CalibrationOptions): void {
  const layers = searchedLayers(network);
  for (const { pattern } of options.layers) {
    if (layers.some(({ name }) => matches(pattern, name))) continue;
    throw new OptionsError(`the pattern ${JSON.stringify(pattern)} of layers matches no layer of the model`);
  }
  for (const operation of layers) {
    const own = layerOptions(options, operation.name);
    const { inFeatures, outFeatures } = operation.kind === 'linear' ? operation : { inFeatures: 1, outFeatures: 1 };
    checkLayerOptions(operation.name, layerPlan(operation, own), own, inFeatures, outFeatures);
  }
}

/**
 * Refuses options under which a budget has nothing to choose between: sensitivities are those of codes with a product of integers.
 *
 * @throws OptionsError naming the layer
 */
export function checkMeasurable(network: Network, options: CalibrationOptions): void {
  for (const operation of searchedLayers(network)) {
    const own = layerOptions(options, operation.name);
    if (!searchesAsPublished(layerPlan(operation, own), own)) continue;
    throw new OptionsError(
      `${operation.name}: a budget chooses between codes with a product of integers; take it away, or blocks, scales per token and "published-code"`,
    );
  }
}

/**
 * Refuses options of one layer that contradict each other or do not fit it.
 *
 * @param depth input features of a linear layer
 * @param columns output features of a linear layer
 * @throws OptionsError naming the layer
 */
export function checkLayerOptions(
  name: string,
  plan: LayerPlan,
  options: LayerOptions,
  depth: number,
  columns: number,
): void {
  const { alpha, beta, calibrator } = options;
  if (!(beta > 0 && alpha <= beta)) {
    throw new OptionsError(`${name}: candidates lie between alpha and beta, got alpha ${alpha} and beta ${beta}`);
  }
  if (calibrator === 'search' && !searchesAsPublished(plan, options)) return;
  checkBlocks(name, plan, options, depth, columns);
  if (plan.operand === 'post-softmax' && !RANGES_GIVE.includes(options.softmax)) {
    throw needsSearch(name, 'softmax', options.softmax);
  }
  const { gelu, activationBlocks } = options;
  const tied = gelu === 'twin' || gelu === 'auto'; // one scale for all input features
  if (plan.operand === 'post-gelu' && (!RANGES_GIVE.includes(gelu) || (tied && activationBlocks > 1))) {
    throw needsSearch(name, 'gelu', gelu);
  }
}

/** Quantizers after softmax and GELU that need no scores; `auto` is twin ranges there. */
const RANGES_GIVE: readonly LayerOptions['softmax'][] = ['uniform', 'twin', 'auto', 'published-code'];

function checkBlocks(name: string, plan: LayerPlan, options: LayerOptions, depth: number, columns: number): void {
  if (plan.kind === 'matmul') return;
  const { activationBlocks, activationScaling, weightGranularity, weightRowBlocks, weightColumnBlocks } = options;
  if (hasZeroPoint(plan, options) && (activationBlocks > 1 || activationScaling === 'per-token')) {
    throw new OptionsError(`${name}: activationOffset "zero-point" needs one static scale for all input features`);
  }
  const [rows, runs] = weightGranularity === 'block' ? [weightRowBlocks, weightColumnBlocks] : [1, 1];
  const checks = [
    ['weightRowBlocks', rows, columns, 'output'],
    ['weightColumnBlocks', runs, depth, 'input'],
    ['activationBlocks', plan.operand === 'pixels' ? 1 : activationBlocks, depth, 'input'],
  ] as const;
  for (const [option, blocks, features, which] of checks) {
    if (features % blocks === 0) continue;
    throw new OptionsError(`${name}: ${option} ${blocks} does not divide its ${features} ${which} features`);
  }
}

function needsSearch(name: string, option: string, value: string): OptionsError {
  return new OptionsError(
    `${name}: ${option} "${value}" is found by scores: set calibrator "search" and one scale an operand, or another ${option}`,
  );
}
