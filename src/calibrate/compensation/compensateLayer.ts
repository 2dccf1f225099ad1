import type { GpuContext } from '../../quantize/context.ts';
import { codeRange } from '../../quantize/codeRange.ts';
import type { LeftQuantizer, RightQuantizer } from '../../quantize/floatQuantizer.ts';
import { CalibrationError } from '../errors.ts';
import { imageCount, isRowMetric, type LayerProblem } from '../layerScorer.ts';
import type { LayerOptions } from '../options.ts';
import { scorePairs } from '../scorePairs.ts';
import { correctedBias, meanOutputError } from './biasCorrection.ts';
import { meanDiagonal } from './cholesky.ts';
import { gptq } from './gptq.ts';
import { gramMatrices } from './gram.ts';
import { refine } from './refine.ts';
import { ridgeWeights } from './ridge.ts';
import { tokenWeights } from './tokenWeights.ts';
import { codeValues, nearestCodes, type WeightGrid } from './weightCodes.ts';

/** A linear layer whose scales are chosen. */
export interface SearchedWeight {
  /** f32 `[columns, depth]`, as `problem.weight` */
  readonly weight: Float32Array;
  /** f32 `[columns]`, as `problem.bias` */
  readonly bias: Float32Array | null;
  readonly a: LeftQuantizer;
  readonly b: RightQuantizer;
  readonly options: Pick<LayerOptions, 'compensation' | 'rounding' | 'biasCorrection'>;
}

export interface CompensatedWeight {
  /** int8 `[columns, depth]`, within the range of `b` */
  readonly codes: Int8Array;
  /** f32 `[columns]`; with bias correction, a layer without a bias gets one. */
  readonly bias: Float32Array | null;
  /** Scores summed over all rows and columns, as `scorePairs` gives them: of this weight, and of nearest codes with the bias given. */
  readonly score: number;
  readonly scoreOfNearest: number;
}

/** The penalty of a changed weight in units of the mean diagonal of the Gram matrix. */
const RIDGE = 0.01;

/** The least that a row counts in a Gram matrix, in units of the mean: few rows alone would be fitted to the letter. */
const LEAST_TOKEN_WEIGHT = 0.1;

/**
 * Weight codes and bias of a linear layer that err less than the nearest codes under the layer's own score. The options say what is
 * tried: codes that make up for each other's rounding (and for that of the inputs), codes flipped one by one, biases that take up the
 * mean error. Every output feature keeps what scores lowest on all rows, nearest codes and the given bias among the choices.
 *
 * @throws CalibrationError naming the layer when a score is not finite
 */
export async function compensateLayer(
  context: GpuContext,
  problem: LayerProblem,
  { weight, bias, a, b, options }: SearchedWeight,
): Promise<CompensatedWeight> {
  const { columns: rows, depth: columns } = problem.geometry;
  const grid: WeightGrid = {
    weight,
    scales: rowScales(b, rows),
    rows,
    columns,
    range: codeRange(b.bits, b.restricted),
  };
  const nearest = nearestCodes(grid);
  const variants = [nearest, ...(await compensatedCodes(context, problem, grid, a, options))];
  const corrects = options.biasCorrection === 'layer';
  const counted = corrects ? await countedRows(context, problem) : undefined;
  const chosen = { codes: nearest.slice(), bias: bias || corrects ? new Float32Array(rows) : null };
  const lowest = new Float64Array(rows).fill(Infinity);
  let scoreOfNearest = NaN;
  for (const codes of variants) {
    const biases = [bias];
    if (counted) {
      biases.push(correctedBias(bias, await meanOutputError(context, problem, { codes, bias, a, b }, counted)));
    }
    for (const tried of biases) {
      const scores = await score(context, problem, grid, codes, tried, { a, b }, rows);
      if (codes === nearest && tried === bias) scoreOfNearest = sum(scores);
      scores.forEach((value, row) => {
        if (!Number.isFinite(value)) throw notFinite(problem.name, value);
        if (value >= (lowest[row] as number)) return;
        lowest[row] = value;
        chosen.codes.set(codes.subarray(row * columns, (row + 1) * columns), row * columns);
        if (chosen.bias) chosen.bias[row] = tried?.[row] ?? 0;
      });
    }
  }
  if (!isRowMetric(problem.metric)) return { ...chosen, score: sum(lowest), scoreOfNearest };
  const whole = async (codes: Int8Array, of: Float32Array | null) =>
    sum(await score(context, problem, grid, codes, of, { a, b }, 1)); // single columns are scored by another metric
  return {
    ...chosen,
    score: await whole(chosen.codes, chosen.bias),
    scoreOfNearest: await whole(nearest, bias),
  };
}

type Quantizers = Pick<SearchedWeight, 'a' | 'b'>;

/** The codes that the options ask for beyond the nearest ones. */
async function compensatedCodes(
  context: GpuContext,
  problem: LayerProblem,
  grid: WeightGrid,
  a: LeftQuantizer,
  { compensation, rounding }: SearchedWeight['options'],
): Promise<Int8Array[]> {
  if (compensation === 'none' && rounding === 'nearest') return [];
  const cross = compensation === 'ridge-gptq';
  const rowWeights =
    problem.metric === 'hessian' ? await tokenWeights(context, problem, LEAST_TOKEN_WEIGHT) : undefined;
  const { quantized: gram, cross: crossGram } = await gramMatrices(context, problem, a, { rowWeights, cross });
  const mean = meanDiagonal(gram, grid.columns);
  if (!(mean > 0 && mean < Infinity)) return [];
  const target = crossGram ? ridgeWeights(grid.weight, gram, crossGram, RIDGE * mean) : grid.weight;
  const moved = { ...grid, weight: target, gram };
  const compensated = compensation === 'none' ? [] : [gptq(moved)];
  if (rounding === 'nearest') return compensated;
  return [...compensated, refine({ ...moved, codes: compensated[0] ?? nearestCodes(grid) })];
}

/** 1 for every row that mean errors are taken over: those whose gradient is not exactly 0, where the metric has a gradient. */
async function countedRows(context: GpuContext, problem: LayerProblem): Promise<Float32Array> {
  const all = new Float32Array(imageCount(problem) * problem.geometry.rows).fill(1);
  if (problem.metric !== 'hessian') return all;
  const counted = (await tokenWeights(context, problem)).map((weight) => (weight > 0 ? 1 : 0));
  return counted.some((count) => count > 0) ? counted : all;
}

/** Scores of explicit codes, one for each of equal parts of the columns: values of codes are quantized to those codes again. */
async function score(
  context: GpuContext,
  problem: LayerProblem,
  grid: WeightGrid,
  codes: Int8Array,
  bias: Float32Array | null,
  { a, b }: Quantizers,
  parts: number,
): Promise<Float64Array> {
  const scope = context.pool.scope();
  try {
    const weight = scope.upload(codeValues(codes, grid), 'weight values');
    const deployed = { ...problem, weight, bias: bias && scope.upload(bias, 'bias') };
    const [scores] = await scorePairs(context, deployed, [a], [b], { by: 'columns', parts }, () => undefined);
    return scores as Float64Array;
  } finally {
    scope.release();
  }
}

/** The scales of every output feature, when equal runs of them share some. */
function rowScales(b: RightQuantizer, rows: number): Float32Array {
  const [groups, runs] = b.type === 'block' ? [b.rowBlocks, b.columnBlocks] : [b.scales.length, 1];
  return Float32Array.from({ length: rows * runs }, (_, i) => {
    const group = Math.floor((Math.floor(i / runs) * groups) / rows);
    return b.scales[group * runs + (i % runs)] as number;
  });
}

function notFinite(layer: string, value: number): CalibrationError {
  return new CalibrationError(`${layer}: a score is ${value}; an operand or a gradient of this layer overflows f32`);
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
