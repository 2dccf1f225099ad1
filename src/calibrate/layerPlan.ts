import type { BufferScope } from '../gpu/buffers.ts';
import { submit } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { rangeStatistics } from '../kernels/rangeStatistics.ts';
import { ROWS_PER_GROUP } from '../kernels/scoreElementwise.ts';
import { type Network, type SearchedOperation } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import type { GpuContext } from '../quantize/context.ts';
import {
  multiplyAccumulates,
  productGeometry,
  type ProductGeometry,
  type StridedMatrix,
} from '../quantize/geometry.ts';
import { layerWeight } from '../quantize/layerWeight.ts';
import { rowView, type CapturedChunk, type LayerProblem } from './layerScorer.ts';
import { scalesByHead, type LayerPlan, type LayerRanges } from './operands.ts';
import type { LayerOptions } from './options.ts';
import type { LayerRecipe } from './recipe.ts';

/** Attention products are a seventh of the work, no compensation follows them, and the scores of single heads are rough. */
const EFFORT = { attention: 2, other: 1 };

const OUTER_LAYER = /^(patch_embed|head|head_dist)$/;

/** Widths and kinds of a layer's operands under `options`. */
export function layerPlan(operation: SearchedOperation, options: LayerOptions): LayerPlan {
  const { weightBits, activationBits, outerWeightBits } = options;
  if (operation.kind === 'matmul') {
    const { kind, operand } = operation;
    return { kind, operand, aBits: activationBits, bBits: activationBits, parts: 1, effort: EFFORT.attention };
  }
  const keepsEight = outerWeightBits === 'at-least-8-below-6' && weightBits < 6 && OUTER_LAYER.test(operation.name);
  const { kind, operand, parts } = operation;
  return {
    kind,
    operand,
    aBits: operand === 'pixels' ? 8 : activationBits,
    bBits: keepsEight ? 8 : weightBits,
    parts,
    effort: EFFORT.other,
  };
}

/** Uploads a layer's weight and measures the ranges that its candidates start from. */
export async function prepareLayer(
  context: GpuContext,
  model: Model,
  operation: SearchedOperation,
  geometry: ProductGeometry,
  chunks: readonly CapturedChunk[],
  plan: LayerPlan,
  options: LayerOptions,
  scope: BufferScope,
): Promise<{ problem: LayerProblem; ranges: LayerRanges }> {
  const { metric } = options;
  const { heads, rows, depth, columns } = geometry;
  const packedOperand = plan.operand === 'pixels';
  const named = { name: operation.name, geometry, chunks, packedOperand, metric };
  const left =
    plan.operand === 'pixels'
      ? { largest: [128], ends: { low: -128, high: 127 }, squares: 1, count: 1 }
      : await measure(context, chunks, ({ a }) => a, geometry.a, { heads, rows, columns: depth });
  const aRms = Math.sqrt(left.squares / left.count);
  const gradientRms = metric === 'hessian' ? await gradientRmsOf(context, chunks, geometry) : 1;
  if (operation.kind === 'matmul') {
    const view = geometry.b as StridedMatrix;
    const transposed = { ...view, rowStride: view.columnStride, columnStride: view.rowStride };
    const bRows =
      view.columnStride === 1 ? { view, rows: depth, columns } : { view: transposed, rows: columns, columns: depth };
    const byHead = (largest: readonly number[]) => (scalesByHead(plan, options) ? largest : [Math.max(...largest)]);
    const right = await measure(context, chunks, ({ b }) => b as GPUBuffer, bRows.view, { heads, ...bRows });
    return {
      problem: { ...named, weight: undefined, bias: null },
      ranges: { a: byHead(left.largest), aEnds: left.ends, aRms, b: byHead(right.largest), gradientRms },
    };
  }
  const { weight, bias } = layerWeight(model, operation);
  const { weightGranularity } = options;
  const groups = weightGranularity === 'channel' ? columns : weightGranularity === 'part' ? operation.parts : 1;
  return {
    problem: {
      ...named,
      weight: scope.upload(weight, `${operation.name} weight`),
      bias: bias && scope.upload(bias, `${operation.name} bias`),
    },
    ranges: {
      a: [Math.max(...left.largest)],
      aEnds: left.ends,
      aRms,
      b: largestPerGroup(weight, groups),
      gradientRms,
    },
  };
}

/** Mean bits over weight parameters, and over activation operands by multiply-accumulates. */
export function meanBits(
  network: Network,
  layers: readonly LayerRecipe[],
): { meanWeightBits: number; meanActivationBits: number } {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const weight = { bits: 0, count: 0 };
  const activation = { bits: 0, count: 0 };
  for (const unit of network.units) {
    for (const operation of unit.operations) {
      if (operation.kind !== 'linear' && operation.kind !== 'matmul') continue;
      const { a, b } = byName.get(operation.name) as LayerRecipe;
      const macs = multiplyAccumulates(productGeometry(operation, unit));
      activation.bits += macs * a.bits;
      activation.count += macs;
      if (operation.kind === 'linear') {
        weight.bits += operation.inFeatures * operation.outFeatures * b.bits;
        weight.count += operation.inFeatures * operation.outFeatures;
      } else {
        activation.bits += macs * b.bits;
        activation.count += macs;
      }
    }
  }
  return { meanWeightBits: weight.bits / weight.count, meanActivationBits: activation.bits / activation.count };
}

async function gradientRmsOf(
  context: GpuContext,
  chunks: readonly CapturedChunk[],
  geometry: ProductGeometry,
): Promise<number> {
  const { heads, rows, columns } = geometry;
  const { squares, count } = await measure(context, chunks, ({ gradient }) => gradient, geometry.output, {
    heads,
    rows,
    columns,
  });
  return Math.sqrt(squares / count);
}

/** Largest magnitude per head, ends, sum of squares and count of a matrix over all images. */
async function measure(
  { device, pool }: GpuContext,
  chunks: readonly CapturedChunk[],
  select: (chunk: CapturedChunk) => GPUBuffer,
  matrix: StridedMatrix,
  { heads, rows, columns }: { heads: number; rows: number; columns: number },
): Promise<{ largest: number[]; ends: { low: number; high: number }; squares: number; count: number }> {
  const largest = new Array<number>(heads).fill(0);
  const ends = { low: Infinity, high: -Infinity };
  let squares = 0;
  let count = 0;
  const groups = Math.ceil(rows / ROWS_PER_GROUP);
  for (const chunk of chunks) {
    const scope = pool.scope();
    const lines = chunk.images * heads * groups;
    const statistics = scope.acquire(16 * lines, 'range statistics');
    const params = { images: chunk.images, heads, rows, columns, view: rowView(matrix) };
    submit(device, [await rangeStatistics(device, { source: select(chunk), statistics }, params)]);
    const values = await readF32(device, statistics, 4 * lines);
    scope.release();
    for (let line = 0; line < lines; line++) {
      const head = Math.floor(line / groups) % heads;
      largest[head] = Math.max(largest[head] as number, values[4 * line] as number);
      ends.low = Math.min(ends.low, values[4 * line + 1] as number);
      ends.high = Math.max(ends.high, values[4 * line + 2] as number);
      squares += values[4 * line + 3] as number;
    }
    count += chunk.images * heads * rows * columns;
  }
  return { largest, ends, squares, count };
}

/** Largest magnitude of each of `groups` equal runs of `values`. */
function largestPerGroup(values: Float32Array, groups: number): number[] {
  const size = values.length / groups;
  return Array.from({ length: groups }, (_, g) =>
    values.subarray(g * size, (g + 1) * size).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
  );
}
