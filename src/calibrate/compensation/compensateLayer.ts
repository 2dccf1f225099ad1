import { meanDiagonal } from '../../quantize/cholesky.ts';
import type { GpuContext } from '../../quantize/context.ts';
import { codeRange } from '../../quantize/codeRange.ts';
import type { LeftQuantizer, RightQuantizer } from '../../quantize/floatQuantizer.ts';
import { CalibrationError } from '../errors.ts';
import { isRowMetric, type LayerProblem } from '../layerScorer.ts';
import type { LayerOptions } from '../options.ts';
import { scorePairs } from '../scorePairs.ts';
import { correctedBias, meanOutputError, type WeightCodes } from './biasCorrection.ts';
import { byRows } from './byRows.ts';
import { gptq, gptqFactor, type GptqFactor } from './gptq.ts';
import { gramMatrices } from './gram.ts';
import { refine } from './refine.ts';
import { ridgeWeights } from './ridge.ts';
import { spreadWeights, tokenWeights } from './tokenWeights.ts';
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
  /** `b`, some scales changed where every output feature has its own. */
  readonly b: RightQuantizer;
  /** int8 `[columns, depth]`, within the range of `b` */
  readonly codes: Int8Array;
  /** f32 `[columns]`; with bias correction, a layer without a bias gets one. */
  readonly bias: Float32Array | null;
  /** Scores summed over all rows and columns, as `scorePairs` gives them: of this weight, and of nearest codes with the bias given. */
  readonly score: number;
  readonly scoreOfNearest: number;
}

/**
 * The penalty of a changed weight in units of the mean diagonal of the Gram matrix. Strong: a weak one fits the calibration images and
 * is worse than none on others.
 */
const RIDGE = 0.2;

/** Scales of an output feature that compensation tries at a width, relative to the one that is best for nearest codes. */
function scaleFactors(bits: number): readonly number[] {
  if (bits >= 8) return [1];
  return bits >= 6 ? [1, 0.92] : [1, 1.08, 0.92, 1.17, 0.85];
}

/** Codes to be scored, and the scales that they are of. */
interface Variant {
  readonly codes: Int8Array;
  readonly grid: WeightGrid;
}

/**
 * Weight codes and bias of a linear layer that err less than the nearest codes under the layer's own score. The options say what is
 * tried: codes that make up for each other's rounding (and for that of the inputs), codes flipped one by one, biases that take up the
 * mean error, of the last codes alone. Every output feature keeps what scores lowest on all rows, nearest codes with the given bias
 * among the choices.
 *
 * @throws CalibrationError naming the layer when a score is not finite
 */
export async function compensateLayer(
  context: GpuContext,
  problem: LayerProblem,
  searched: SearchedWeight,
): Promise<CompensatedWeight> {
  const { weight, bias, a, b, options } = searched;
  const { columns: rows, depth: columns } = problem.geometry;
  const grid = { weight, scales: rowScales(b, rows), rows, columns, range: codeRange(b.bits, b.restricted) };
  const rowWeights = await tokenWeights(context, problem);
  const corrects = options.biasCorrection !== 'none';
  const nearest = { codes: nearestCodes(grid), grid };
  const variants = [nearest, ...(await compensatedVariants(context, problem, grid, searched, rowWeights))];
  const last = variants.at(-1);
  const codes = nearest.codes.slice();
  const scales = grid.scales.slice();
  const chosenBias = bias || corrects ? new Float32Array(rows) : null;
  const lowest = new Float64Array(rows).fill(Infinity);
  let scoreOfNearest = NaN;
  for (const variant of variants) {
    const deployed = { codes: variant.codes, bias, a, b: withScales(b, variant.grid.scales) };
    const biases = variant === nearest || !corrects ? [bias] : [];
    if (corrects && variant === last)
      biases.push(correctedBias(bias, await meanOutputError(context, problem, deployed, rowWeights)));
    for (const tried of biases) {
      const scores = await score(context, problem, variant.grid, { ...deployed, bias: tried }, rows);
      if (variant === nearest && tried === bias) scoreOfNearest = sum(scores);
      scores.forEach((value, row) => {
        if (!Number.isFinite(value)) throw notFinite(problem.name, value);
        if (value >= (lowest[row] as number)) return;
        lowest[row] = value;
        copyRow(variant.codes, codes, row, rows);
        copyRow(variant.grid.scales, scales, row, rows);
        if (chosenBias) chosenBias[row] = tried?.[row] ?? 0;
      });
    }
  }
  const chosen = { b: withScales(b, scales), codes, bias: chosenBias };
  if (!isRowMetric(problem.metric)) return { ...chosen, score: sum(lowest), scoreOfNearest };
  // single columns are scored by another metric
  const whole = async (of: WeightGrid, made: WeightCodes) => sum(await score(context, problem, of, made, 1));
  return {
    ...chosen,
    score: await whole({ ...grid, scales }, { ...chosen, a }),
    scoreOfNearest: await whole(grid, { codes: nearest.codes, bias, a, b }),
  };
}

/** What the options ask for beyond the nearest codes; nothing where rows are too few to tell one column from another. */
async function compensatedVariants(
  context: GpuContext,
  problem: LayerProblem,
  grid: WeightGrid,
  { a, b, options }: SearchedWeight,
  rowWeights: Float32Array,
): Promise<Variant[]> {
  const { compensation, rounding, biasCorrection } = options;
  if (compensation === 'none' && rounding === 'nearest') return [];
  const counted = spreadWeights(rowWeights, grid.columns);
  if (!counted) return [];
  const centred = biasCorrection !== 'none'; // the bias takes up the mean
  const cross = compensation === 'ridge-gptq';
  const { quantized: gram, cross: crossGram } = await gramMatrices(context, problem, a, {
    rowWeights: counted,
    cross,
    centred,
  });
  const factor = gptqFactor(gram, grid.columns);
  if (!factor) return [];
  const penalty = RIDGE * meanDiagonal(gram, grid.columns);
  const target = crossGram ? ridgeWeights(grid.weight, gram, crossGram, penalty) : grid.weight;
  let best: Variant = { codes: nearestCodes(grid), grid: { ...grid, weight: target } };
  const variants: Variant[] = [];
  if (compensation !== 'none') {
    const factors = hasOwnScales(b, grid.rows) ? scaleFactors(b.bits) : [1];
    const scales = factors.map((by) => grid.scales.map((scale) => scale * by));
    best = await bestScales(best.grid, scales, factor);
    variants.push(best);
  }
  if (rounding === 'refined') variants.push({ ...best, codes: await refined(best, gram) });
  return variants;
}

async function refined({ codes, grid }: Variant, gram: Float64Array): Promise<Int8Array> {
  const { columns } = grid;
  const made = new Int8Array(codes.length);
  await byRows(grid, (part, firstRow) => {
    const own = codes.subarray(firstRow * columns, (firstRow + part.rows) * columns);
    made.set(refine({ ...part, codes: own, gram }), firstRow * columns);
  });
  return made;
}

/** Codes of every row under the scales that let it err least. */
async function bestScales(grid: WeightGrid, candidates: readonly Float32Array[], factor: GptqFactor): Promise<Variant> {
  const { columns } = grid;
  const codes = new Int8Array(grid.weight.length);
  const scales = grid.scales.slice();
  const lowest = new Float64Array(grid.rows).fill(Infinity);
  for (const tried of candidates) {
    await byRows({ ...grid, scales: tried }, (part, firstRow) => {
      const made = gptq(factor, part);
      made.errors.forEach((error, i) => {
        const row = firstRow + i;
        if (error >= (lowest[row] as number)) return;
        lowest[row] = error;
        codes.set(made.codes.subarray(i * columns, (i + 1) * columns), row * columns);
        copyRow(tried, scales, row, grid.rows);
      });
    });
  }
  return { codes, grid: { ...grid, scales } };
}

function copyRow<Values extends Int8Array | Float32Array>(from: Values, to: Values, row: number, rows: number): void {
  const width = from.length / rows;
  to.set(from.subarray(row * width, (row + 1) * width), row * width);
}

/** Scores of explicit codes, one for each of equal parts of the columns: values of codes are quantized to those codes again. */
async function score(
  context: GpuContext,
  problem: LayerProblem,
  grid: WeightGrid,
  { codes, bias, a, b }: WeightCodes,
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

function hasOwnScales(b: RightQuantizer, rows: number): boolean {
  return b.type === 'uniform' && b.scales.length === rows;
}

/** `b` with the scales of its rows where each has its own, else as it is. */
function withScales(b: RightQuantizer, scales: Float32Array): RightQuantizer {
  return hasOwnScales(b, scales.length) ? { ...b, scales: [...scales] } : b;
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
