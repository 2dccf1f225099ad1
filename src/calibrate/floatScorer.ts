import type { BufferScope } from '../gpu/buffers.ts';
import { submit } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { ROWS_PER_GROUP } from '../kernels/scoreElementwise.ts';
import { scoreOutputs } from '../kernels/scoreOutputs.ts';
import type { GpuContext } from '../quantize/context.ts';
import { floatLeft, floatRight, type FloatOperand } from '../quantize/floatOperand.ts';
import { floatProducts } from '../quantize/floatProduct.ts';
import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';
import {
  imageCount,
  metricOf,
  rowView,
  weightMatrix,
  type CapturedChunk,
  type LayerProblem,
  type ScoreGroups,
} from './layerScorer.ts';

/** Most bytes that the outputs, or the operands, of one batch of candidates may take. */
const BATCH_BYTES = 48 * 2 ** 20;

/**
 * `scoreCandidates` for quantizers without a common integer product: the same sums of the errors of a float product of the values of codes.
 * One of the two lists has one entry, which all candidates share; b can stay unquantized.
 */
export async function scoreFloatCandidates(
  context: GpuContext,
  problem: LayerProblem,
  a: readonly LeftQuantizer[],
  b: readonly RightQuantizer[] | 'unquantized',
  groups: ScoreGroups,
  onBatch: (share: number) => void,
): Promise<Float64Array[]> {
  const rights = b === 'unquantized' ? 1 : b.length;
  const candidates = Math.max(a.length, rights);
  const { heads } = problem.geometry;
  const totals = Array.from(
    { length: candidates },
    () => new Float64Array(groups.by === 'heads' ? heads : groups.parts),
  );
  for (const chunk of problem.chunks) {
    const size = Math.min(candidates, candidatesPerBatch(problem, chunk, a.length > 1));
    for (let first = 0; first < candidates; first += size) {
      const last = Math.min(first + size, candidates);
      const scope = context.pool.scope();
      try {
        const left = a.length > 1 ? a.slice(first, last) : a;
        const right = rights > 1 && b !== 'unquantized' ? b.slice(first, last) : b;
        const partials = await scoreBatch(context, problem, chunk, left, right, last - first, groups, scope);
        addPartials(totals.slice(first, last), partials, chunk.images * heads, groups);
      } finally {
        scope.release();
      }
      onBatch(((last - first) / candidates) * (chunk.images / imageCount(problem)));
    }
  }
  return totals;
}

function candidatesPerBatch({ geometry }: LayerProblem, { images }: CapturedChunk, leftVaries: boolean): number {
  const { heads, rows, depth, columns, b } = geometry;
  const batch = images * heads;
  const operand = depth * (leftVaries ? batch * rows : columns * (b ? batch : 1));
  return Math.max(1, Math.floor(BATCH_BYTES / (4 * Math.max(operand, batch * rows * columns))));
}

async function scoreBatch(
  { device }: GpuContext,
  problem: LayerProblem,
  chunk: CapturedChunk,
  a: readonly LeftQuantizer[],
  b: readonly RightQuantizer[] | 'unquantized',
  candidates: number,
  groups: ScoreGroups,
  scope: BufferScope,
): Promise<Float32Array> {
  const { geometry } = problem;
  const { heads, rows, depth, columns } = geometry;
  const { images } = chunk;
  const left = await floatLeft(device, chunk.a, geometry.a, { images, heads, rows, depth }, a, scope);
  const right = await rightOf(device, problem, chunk, b, scope);
  const batch = images * heads;
  const outputs = scope.acquire(4 * candidates * batch * rows * columns, 'candidate outputs');
  const matrix = {
    ...{ offset: 0, outerStride: heads * rows * columns, innerStride: rows * columns },
    ...{ rowStride: columns, columnStride: 1 },
  };
  const operands = { left, right, bias: problem.bias };
  const into = { c: outputs, matrix, candidates, candidateStride: batch * rows * columns };
  const products = await floatProducts(device, operands, geometry, images, into);
  const parts = groups.by === 'heads' ? 1 : groups.parts;
  const count = candidates * batch * Math.ceil(rows / ROWS_PER_GROUP) * parts;
  const partials = scope.acquire(4 * count, 'partial scores');
  const metric = metricOf(problem, groups);
  const score = await scoreOutputs(
    device,
    { outputs, y: chunk.output, gradient: metric === 'hessian' ? chunk.gradient : null, partials },
    { metric, candidates, images, heads, rows, columns, parts, y: rowView(geometry.output) },
  );
  submit(device, [...left.dispatches, ...right.dispatches, ...products, score]);
  return readF32(device, partials, count);
}

function rightOf(
  device: GPUDevice,
  { geometry, weight }: LayerProblem,
  chunk: CapturedChunk,
  quantizers: readonly RightQuantizer[] | 'unquantized',
  scope: BufferScope,
): Promise<FloatOperand> {
  const { heads, depth, columns } = geometry;
  if (geometry.b && chunk.b) {
    const shape = { images: chunk.images, heads, depth, columns };
    return floatRight(device, chunk.b, geometry.b, shape, quantizers, scope);
  }
  if (!weight) throw new Error('a linear layer needs its weight');
  const shape = { images: 1, heads: 1, depth, columns };
  return floatRight(device, weight, weightMatrix(depth), shape, quantizers, scope).then((right) => ({
    ...right,
    matrix: { ...right.matrix, outerStride: 0, innerStride: 0 },
  }));
}

/** Adds `[candidates][images * heads][lines][parts]` to `[candidates][groups]` in index order. */
function addPartials(
  totals: readonly Float64Array[],
  partials: Float32Array,
  batch: number,
  groups: ScoreGroups,
): void {
  const parts = groups.by === 'heads' ? 1 : groups.parts;
  const lines = partials.length / totals.length / batch / parts;
  let next = 0;
  for (const total of totals) {
    for (let entry = 0; entry < batch; entry++) {
      for (let i = 0; i < lines * parts; i++) {
        const group = groups.by === 'heads' ? entry % total.length : i % parts;
        total[group] = (total[group] as number) + (partials[next++] as number);
      }
    }
  }
}
