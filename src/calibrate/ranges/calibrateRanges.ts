import { readF32 } from '../../gpu/readback.ts';
import { codeRange, scaleOf } from '../../quantize/codeRange.ts';
import type { GpuContext } from '../../quantize/context.ts';
import type { LeftQuantizer, RightQuantizer } from '../../quantize/floatQuantizer.ts';
import type { StridedMatrix } from '../../quantize/geometry.ts';
import { maxTwinShift } from '../../quantize/quantizer.ts';
import { checkLayerOptions } from '../checkOptions.ts';
import type { CapturedChunk, LayerProblem } from '../layerScorer.ts';
import { scoreUnit } from '../meanScore.ts';
import { hasZeroPoint, scalesByHead, type LayerPlan, type LayerRanges } from '../operands.ts';
import type { LayerOptions } from '../options.ts';
import type { LayerRecipe } from '../recipe.ts';
import { scorePairs } from '../scorePairs.ts';
import type { Distribution } from './distribution.ts';
import { observe } from './observe.ts';
import { leftFromRanges, leftGroups, rightFromScales, weightBlocks } from './quantizers.ts';
import { needsCounts, rangeOf, weightRange, type RangeCalibrator } from './rangeOf.ts';

/**
 * The quantizers that a range-only calibrator gives a layer, each operand by its own values, and their score: min-max, moving average,
 * percentile, OMSE, ACIQ or entropy. Weights have their ranges from the host, block by block; twin ranges after softmax have the shift
 * of `fineShift`, those after GELU the calibrator's range of positive values.
 *
 * @throws OptionsError naming the layer when its options ask for what ranges do not give, or for blocks that do not fit
 */
export async function calibrateRanges(
  context: GpuContext,
  problem: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
  calibrator: RangeCalibrator,
  ranges: LayerRanges,
): Promise<LayerRecipe> {
  const { name, geometry } = problem;
  checkLayerOptions(name, plan, options, geometry.depth, geometry.columns);
  const a = await leftRanges(context, problem, plan, options, calibrator);
  const b = await rightRanges(context, problem, plan, options, calibrator);
  const groups = { by: 'columns', parts: 1 } as const;
  const [totals] = await scorePairs(context, problem, [a], [b], groups, () => undefined);
  const score = (totals?.[0] as number) / scoreUnit(problem, ranges, groups);
  if (a.type !== 'twin-softmax' && a.type !== 'twin-gelu') return { name, kind: plan.kind, a, b, score };
  return { name, kind: plan.kind, a, b, score, maxShift: maxTwinShift(plan.aBits, plan.bBits, geometry.depth) };
}

async function leftRanges(
  context: GpuContext,
  problem: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
  calibrator: RangeCalibrator,
): Promise<LeftQuantizer> {
  const { depth } = problem.geometry;
  const settings = { bits: plan.aBits, percentile: options.percentile };
  const codes = codeRange(plan.aBits, options.integerRange === 'restricted');
  const symmetric = !hasZeroPoint(plan, options);
  const distributions =
    plan.operand === 'pixels' ? [] : await observeLeft(context, problem, plan, options, needsCounts(calibrator));
  const intervals = distributions.map((values) => rangeOf(calibrator, values, settings, codes, symmetric));
  return leftFromRanges(plan, options, depth, intervals);
}

/** How the left operand is distributed, for each head or run of input features with a scale of its own. */
export function observeLeft(
  context: GpuContext,
  { geometry, chunks }: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
  counted: boolean,
): Promise<Distribution[]> {
  const { windows, heads, rows, depth, a } = geometry;
  const operand = chunks.map(({ images, a: values }) => ({ images, values }));
  const { runs } = leftGroups(plan, options, heads);
  if (plan.kind === 'linear' && runs > 1) {
    // runs of features lie in a row as heads do
    const width = depth / runs;
    const shape = { windows, heads: runs, rows, columns: width, view: { ...a, headStride: width } };
    return observe(context, operand, shape, { perHead: true, counted });
  }
  const perHead = scalesByHead(plan, options);
  return observe(context, operand, { windows, heads, rows, columns: depth, view: a }, { perHead, counted });
}

async function rightRanges(
  context: GpuContext,
  problem: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
  calibrator: RangeCalibrator,
): Promise<RightQuantizer> {
  const settings = { bits: plan.bBits, percentile: options.percentile };
  const codes = codeRange(plan.bBits, options.integerRange === 'restricted');
  const intervals =
    plan.kind === 'matmul'
      ? (await observeRight(context, problem, plan, options, needsCounts(calibrator))).map((values) =>
          rangeOf(calibrator, values, settings, codes, true),
        )
      : (await readBlocks(context, problem, plan, options)).map((values) =>
          weightRange(calibrator, values, settings, codes),
        );
  return rightFromScales(
    plan,
    options,
    intervals.map((interval) => scaleOf(interval, codes, true).scale),
  );
}

/** How the right operand of attention is distributed, for each head with a scale of its own. */
export function observeRight(
  context: GpuContext,
  { geometry, chunks }: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
  counted: boolean,
): Promise<Distribution[]> {
  const { windows, heads, depth, columns } = geometry;
  const view = geometry.b as StridedMatrix;
  const transposed = { ...view, rowStride: view.columnStride, columnStride: view.rowStride };
  const shape =
    view.columnStride === 1
      ? { windows, heads, rows: depth, columns, view }
      : { windows, heads, rows: columns, columns: depth, view: transposed };
  const operand = chunks.map(({ images, b }: CapturedChunk) => ({ images, values: b as GPUBuffer }));
  return observe(context, operand, shape, { perHead: scalesByHead(plan, options), counted });
}

/** The values of each block of a weight that has a scale of its own, by row block, then column block. */
export async function readBlocks(
  { device }: GpuContext,
  { geometry, weight }: LayerProblem,
  plan: LayerPlan,
  options: LayerOptions,
): Promise<Float32Array[]> {
  const { depth, columns } = geometry;
  const values = await readF32(device, weight as GPUBuffer, depth * columns);
  const blocks = weightBlocks(plan, options, columns);
  const [height, width] = [columns / blocks.rows, depth / blocks.columns];
  return Array.from({ length: blocks.rows * blocks.columns }, (_, block) => {
    const row = Math.floor(block / blocks.columns) * height;
    const column = (block % blocks.columns) * width;
    if (blocks.columns === 1) return values.slice(row * depth, (row + height) * depth);
    return Float32Array.from({ length: height * width }, (__, i) => {
      return values[(row + Math.floor(i / width)) * depth + column + (i % width)] as number;
    });
  });
}
