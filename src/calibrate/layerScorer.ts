import type { BufferScope } from '../gpu/buffers.ts';
import { submit, type Dispatch } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { reduceColumns } from '../kernels/reduceColumns.ts';
import { ROWS_PER_GROUP, scoreElementwise, type ScoreParams } from '../kernels/scoreElementwise.ts';
import { scoreCosine, type RowMetric } from '../kernels/scoreCosine.ts';
import type { GpuContext } from '../quantize/context.ts';
import { encodeLeft, encodeRight, type EncodedOperand } from '../quantize/encode.ts';
import type { ProductGeometry, StridedMatrix } from '../quantize/geometry.ts';
import { productShape } from '../quantize/productShape.ts';
import { twinShift, type ActivationQuantizer, type UniformQuantizer } from '../quantize/quantizer.ts';
import { productScales } from '../quantize/scales.ts';
import type { Metric } from './options.ts';

/** What a layer read and wrote for some of the images: the float operands, output and gradient of the output. */
export interface CapturedChunk {
  /** Of an attention product, windows: their ranges, scores and samples are those of images of one window. */
  readonly images: number;
  /** f32 operand, or packed codes when the operand is pixels. */
  readonly a: GPUBuffer;
  /** f32 right operand; undefined when it is a weight. */
  readonly b: GPUBuffer | undefined;
  readonly output: GPUBuffer;
  readonly gradient: GPUBuffer;
}

/** A layer under search. */
export interface LayerProblem {
  readonly name: string;
  readonly geometry: ProductGeometry;
  readonly chunks: readonly CapturedChunk[];
  /** f32 `[columns, depth]` and f32 `[columns]`, when b is a weight. */
  readonly weight: GPUBuffer | undefined;
  readonly bias: GPUBuffer | null;
  /** The left operand is packed codes, not f32. */
  readonly packedOperand: boolean;
  readonly metric: Metric;
}

/** Which elements share a score: columns in equal parts (`columns` parts: each its own), or heads. */
export type ScoreGroups = { readonly by: 'columns'; readonly parts: number } | { readonly by: 'heads' };

/**
 * What a group is scored by. Similarities of rows say nothing of a single column, whose direction is its sign: single columns, the
 * channels of a weight, are scored by `mse` where the options ask for `cosine` or `pearson`.
 */
export function metricOf({ metric, geometry }: LayerProblem, groups: ScoreGroups): Metric {
  const single = groups.by === 'columns' && groups.parts === geometry.columns;
  return isRowMetric(metric) && single ? 'mse' : metric;
}

/** Metrics of whole rows, whose scores are `1 - similarity`. */
export function isRowMetric(metric: Metric): metric is RowMetric {
  return metric === 'cosine' || metric === 'pearson';
}

/** Most bytes that the codes, or the partial scores, of one batch of candidates may take; there are two at once. */
const BATCH_BYTES = 24 * 2 ** 20;

/**
 * Scores pairs of quantizers of a layer: the error of the integer product that inference will compute, against the captured
 * float output. One of the two lists has one entry, which all candidates share. Returns `[candidates][groups]` sums over all
 * images, rows and columns of a group: of errors as `metricOf` says, or of 1 - similarity per row.
 * Partial sums are per image and 32 rows whatever the batch, and are added in index order in double precision.
 */
export async function scoreCandidates(
  context: GpuContext,
  problem: LayerProblem,
  a: readonly ActivationQuantizer[],
  b: readonly UniformQuantizer[],
  groups: ScoreGroups,
  onBatch: (share: number) => void,
): Promise<Float64Array[]> {
  const candidates = Math.max(a.length, b.length);
  const groupCount = groups.by === 'heads' ? problem.geometry.heads : groups.parts;
  const totals = Array.from({ length: candidates }, () => new Float64Array(groupCount));
  // one batch is computed while the scores of the one before it are read and added up
  let before: Promise<void> | undefined;
  try {
    for (const chunk of problem.chunks) {
      const size = Math.min(candidates, candidatesPerBatch(problem, chunk, a, groups));
      for (let first = 0; first < candidates; first += size) {
        const last = Math.min(first + size, candidates);
        const left = a.length > 1 ? a.slice(first, last) : a;
        const right = b.length > 1 ? b.slice(first, last) : b;
        const partials = await submitBatch(context, problem, chunk, left, right, groups);
        await before;
        before = partials().then((values) => {
          addPartials(totals.slice(first, last), values, problem, chunk.images, groups);
          onBatch(((last - first) / candidates) * (chunk.images / imageCount(problem)));
        });
        before.catch(() => undefined); // thrown where it is awaited
      }
    }
  } finally {
    await before;
  }
  return totals;
}

export function imageCount({ chunks }: LayerProblem): number {
  return chunks.reduce((sum, chunk) => sum + chunk.images, 0);
}

function candidatesPerBatch(
  problem: LayerProblem,
  chunk: CapturedChunk,
  a: readonly ActivationQuantizer[],
  groups: ScoreGroups,
): number {
  const { heads, rows, depth, columns, b } = problem.geometry;
  const batch = chunk.images * heads;
  const { words: deep } = productShape(depth, a[0] as ActivationQuantizer);
  const words = deep * (a.length > 1 ? batch * rows : columns * (b ? batch : 1));
  const perRow = isRowMetric(metricOf(problem, groups))
    ? rows * partCount(groups)
    : Math.ceil(rows / ROWS_PER_GROUP) * columns;
  return Math.max(1, Math.floor(BATCH_BYTES / (4 * Math.max(words, batch * perRow))));
}

function partCount(groups: ScoreGroups): number {
  return groups.by === 'heads' ? 1 : groups.parts;
}

/** Submits the work of a batch; what it returns reads the partial scores and frees the buffers. */
async function submitBatch(
  context: GpuContext,
  problem: LayerProblem,
  chunk: CapturedChunk,
  a: readonly ActivationQuantizer[],
  b: readonly UniformQuantizer[],
  groups: ScoreGroups,
): Promise<() => Promise<Float32Array>> {
  const scope = context.pool.scope();
  try {
    const { partials, count } = await encodeAndScore(context, problem, chunk, a, b, groups, scope);
    return () => readF32(context.device, partials, count).finally(() => scope.release());
  } catch (error) {
    scope.release();
    throw error;
  }
}

async function encodeAndScore(
  { device }: GpuContext,
  problem: LayerProblem,
  chunk: CapturedChunk,
  a: readonly ActivationQuantizer[],
  b: readonly UniformQuantizer[],
  groups: ScoreGroups,
  scope: BufferScope,
): Promise<{ readonly partials: GPUBuffer; readonly count: number }> {
  const { geometry } = problem;
  const metric = metricOf(problem, groups);
  const { heads, rows, depth, columns } = geometry;
  const { images } = chunk;
  const candidates = Math.max(a.length, b.length);
  const shape = productShape(depth, a[0] as ActivationQuantizer);
  const left = await encodeLeft(device, chunk.a, geometry.a, { images, heads, rows, depth }, a, scope);
  const right = await encodeRightOf(device, problem, chunk, b, shape.repeat, scope);
  const pair = (c: number) =>
    [a[a.length > 1 ? c : 0], b[b.length > 1 ? c : 0]] as [ActivationQuantizer, UniformQuantizer];
  const scales = Array.from({ length: candidates }, (_, c) => productScales(geometry, ...pair(c)));
  const perCandidate = (scales[0] as { values: Float32Array }).values.length;
  const table = new Float32Array(candidates * perCandidate);
  scales.forEach(({ values }, c) => table.set(values, c * perCandidate));
  const shifts = Uint32Array.from({ length: candidates }, (_, c) => twinShift(pair(c)[0]));
  const view = rowView(geometry.output);
  const params: ScoreParams = {
    candidates,
    images,
    heads,
    rows,
    depth: shape.depth,
    columns,
    aKind: shape.kind,
    aBits: shape.bits,
    aCandidateStride: left.candidateStride,
    bCandidateStride: right.candidateStride,
    bBatchStride: geometry.b ? shape.words * columns : 0,
    scaleCandidateStride: perCandidate,
    scaleHeadStride: geometry.b ? 1 : 0,
    scaleColumnStride: geometry.b ? 0 : 1,
    y: view,
  };
  const buffers = {
    a: left.codes,
    b: right.codes,
    scales: scope.upload(table, 'product scales'),
    bias: problem.bias,
    y: chunk.output,
    shifts: scope.upload(shifts, 'twin shifts'),
  };
  const work: Dispatch[] = [...left.dispatches, ...right.dispatches];
  const parts = partCount(groups);
  if (isRowMetric(metric)) {
    const count = candidates * images * heads * rows * parts;
    const cosines = scope.acquire(4 * count, 'cosines');
    work.push(await scoreCosine(device, { ...buffers, cosines }, { ...params, parts, metric }));
    submit(device, work);
    return { partials: cosines, count };
  }
  const lines = candidates * images * heads * Math.ceil(rows / ROWS_PER_GROUP);
  const partials = scope.acquire(4 * lines * columns, 'partial scores');
  const gradient = metric === 'hessian' ? chunk.gradient : null;
  work.push(await scoreElementwise(device, { ...buffers, gradient, partials }, { ...params, metric, gradient: view }));
  if (parts === columns) {
    submit(device, work);
    return { partials, count: lines * columns };
  }
  const sums = scope.acquire(4 * lines * parts, 'score sums');
  work.push(await reduceColumns(device, { source: partials, sums }, { rows: lines, columns, parts }));
  submit(device, work);
  return { partials: sums, count: lines * parts };
}

async function encodeRightOf(
  device: GPUDevice,
  { geometry, weight }: LayerProblem,
  chunk: CapturedChunk,
  quantizers: readonly UniformQuantizer[],
  repeat: 1 | 2,
  scope: BufferScope,
): Promise<EncodedOperand> {
  const { heads, depth, columns } = geometry;
  if (geometry.b && chunk.b) {
    const shape = { images: chunk.images, heads, depth, columns };
    return encodeRight(device, chunk.b, geometry.b, shape, quantizers, scope, repeat);
  }
  const matrix = weightMatrix(depth);
  return encodeRight(
    device,
    weight as GPUBuffer,
    matrix,
    { images: 1, heads: 1, depth, columns },
    quantizers,
    scope,
    repeat,
  );
}

/** A weight `[columns, depth]` seen as the right operand `[depth, columns]`. */
export function weightMatrix(depth: number): StridedMatrix {
  return { tensor: 'weight', offset: 0, imageStride: 0, headStride: 0, rowStride: 1, columnStride: depth };
}

export function rowView({ offset, imageStride, headStride, rowStride }: StridedMatrix) {
  return { offset, imageStride, headStride, rowStride };
}

/** Adds `[candidates][images * heads][lines][parts]` to `[candidates][groups]` in index order. */
function addPartials(
  totals: readonly Float64Array[],
  partials: Float32Array,
  problem: LayerProblem,
  images: number,
  groups: ScoreGroups,
): void {
  const { geometry } = problem;
  const bySimilarity = isRowMetric(metricOf(problem, groups));
  const parts = partCount(groups);
  const lines = bySimilarity ? geometry.rows : Math.ceil(geometry.rows / ROWS_PER_GROUP);
  let next = 0;
  for (const total of totals) {
    for (let batch = 0; batch < images * geometry.heads; batch++) {
      const head = batch % geometry.heads;
      for (let line = 0; line < lines; line++) {
        for (let part = 0; part < parts; part++) {
          const value = partials[next++] as number;
          const group = groups.by === 'heads' ? head : part;
          total[group] = (total[group] as number) + (bySimilarity ? 1 - value : value);
        }
      }
    }
  }
}
