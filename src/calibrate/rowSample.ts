import type { BufferScope } from '../gpu/buffers.ts';
import { submit, type Dispatch } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { codeWords, type RowView } from '../kernels/codes.ts';
import { gatherRows } from '../kernels/gatherRows.ts';
import { rowStatistics } from '../kernels/rowStatistics.ts';
import type { GpuContext } from '../quantize/context.ts';
import type { ProductGeometry, StridedMatrix } from '../quantize/geometry.ts';
import { imageCount, rowView, type CapturedChunk, type LayerProblem } from './layerScorer.ts';

/** A layer reduced to the rows that decide its score. */
export interface RowSample {
  readonly problem: LayerProblem;
  /** Rows of the sample over rows of the layer: what a candidate costs in units of a full one. */
  readonly share: number;
  /** True when every row that it leaves out has a gradient of exactly zero: its scores are those of the layer. */
  readonly exact: boolean;
}

/** Rows of a sample over all rows, and the fewest that a layer is reduced to. */
export const SAMPLE_SHARE = 1 / 20;
const FEWEST_ROWS = 128;

/** Part of a sample that is given to the rows of the largest inputs and of the largest outputs, each. */
const EXTREME_SHARE = 1 / 16;

/** Part of a sample that is certain: extremes and the largest gradients. The rest stands for the rows that are left out. */
const CERTAIN_SHARE = 1 / 2;

/**
 * The rows of a layer that decide its `hessian` score. Certain are those of the largest squared gradient, and some of the largest
 * inputs and outputs, which a sample by gradient alone could miss and which decide what clipping costs. The other rows, in the
 * order of their gradients, are represented by every k-th of them, whose gradient is enlarged by sqrt(k), so that the sample's
 * score estimates the layer's. A weight does not care which image a row is of, so the rows of a linear layer are chosen over all
 * images; an attention product keeps equally many rows of each image. The choice depends on values alone, never on chunks.
 */
export async function sampleRows(context: GpuContext, problem: LayerProblem, scope: BufferScope): Promise<RowSample> {
  return problem.geometry.b ? sampleProduct(context, problem, scope) : sampleLinear(context, problem, scope);
}

async function sampleLinear(context: GpuContext, problem: LayerProblem, scope: BufferScope): Promise<RowSample> {
  const { geometry } = problem;
  const { rows, depth, columns } = geometry;
  const total = imageCount(problem) * rows;
  const measures = concatenated(await Promise.all(problem.chunks.map((chunk) => measureRows(context, problem, chunk))));
  const wanted = Math.min(total, Math.max(FEWEST_ROWS, Math.ceil(SAMPLE_SHARE * total)));
  const { chosen, weights, exact } = choose(measures, wanted);
  const pixels = problem.packedOperand;
  const width = pixels ? codeWords(depth) : depth;
  const a = scope.acquire(4 * chosen.length * width, 'sampled operand');
  const output = scope.acquire(4 * chosen.length * columns, 'sampled output');
  const gradient = scope.acquire(4 * chosen.length * columns, 'sampled gradient');
  let [firstRow, written] = [0, 0];
  for (const chunk of problem.chunks) {
    const inChunk = chosen.filter((row) => row >= firstRow && row < firstRow + chunk.images * rows);
    const indices = Uint32Array.from(inChunk, (row) => row - firstRow);
    const gather = (source: GPUBuffer, destination: GPUBuffer, words: number) =>
      gatherInto(context, source, destination, denseRows(words), indices, {
        images: 1,
        heads: 1,
        columns: words,
        written,
      });
    if (inChunk.length > 0) {
      await gather(chunk.a, a, width);
      await gather(chunk.output, output, columns);
      await gather(chunk.gradient, gradient, columns);
    }
    firstRow += chunk.images * rows;
    written += inChunk.length;
  }
  await scaleRows(context, gradient, columns, weights);
  const sampled: ProductGeometry = {
    ...geometry,
    rows: chosen.length,
    a: dense(geometry.a, 1, chosen.length, depth),
    output: dense(geometry.output, 1, chosen.length, columns),
  };
  const chunk: CapturedChunk = { images: 1, a, b: undefined, output, gradient };
  return { problem: { ...problem, geometry: sampled, chunks: [chunk] }, share: chosen.length / total, exact };
}

async function sampleProduct(context: GpuContext, problem: LayerProblem, scope: BufferScope): Promise<RowSample> {
  const { geometry } = problem;
  const { heads, rows, depth, columns } = geometry;
  const perImage = Math.min(
    rows,
    Math.max(Math.ceil(FEWEST_ROWS / imageCount(problem)), Math.ceil(SAMPLE_SHARE * rows)),
  );
  const choices: RowChoice[] = [];
  for (const chunk of problem.chunks) {
    const measures = await measureRows(context, problem, chunk);
    for (let image = 0; image < chunk.images; image++) {
      choices.push(choose(measures.slice(image * rows, (image + 1) * rows), perImage));
    }
  }
  const kept = Math.max(...choices.map(({ chosen }) => chosen.length));
  const exact = choices.every((choice) => choice.exact);
  const chunks: CapturedChunk[] = [];
  for (const chunk of problem.chunks) {
    const { images } = chunk;
    const filled = choices.splice(0, images).map((choice) => fill(choice, kept, rows));
    const indices = Uint32Array.from(filled.flatMap(({ chosen }) => chosen));
    const gathered = async (source: GPUBuffer, view: RowView, width: number, name: string) => {
      const destination = scope.acquire(4 * images * heads * kept * width, name);
      await gatherInto(context, source, destination, view, indices, { images, heads, columns: width, written: 0 });
      return destination;
    };
    const gradient = await gathered(chunk.gradient, geometry.output, columns, 'sampled gradient');
    const weights = filled.flatMap((choice) => Array.from({ length: heads }, () => choice.weights).flat());
    await scaleRows(context, gradient, columns, weights);
    chunks.push({
      images,
      a: await gathered(chunk.a, geometry.a, depth, 'sampled operand'),
      b: chunk.b,
      output: await gathered(chunk.output, geometry.output, columns, 'sampled output'),
      gradient,
    });
  }
  const sampled: ProductGeometry = {
    ...geometry,
    rows: kept,
    a: dense(geometry.a, heads, kept, depth),
    output: dense(geometry.output, heads, kept, columns),
  };
  return { problem: { ...problem, geometry: sampled, chunks }, share: kept / rows, exact };
}

/** What decides whether a row is chosen. */
interface RowMeasure {
  /** Sum of the squared gradient over heads and columns. */
  readonly gradient: number;
  readonly largestInput: number;
  readonly largestOutput: number;
}

/** Measures of every row of a chunk, `[images * rows]`. */
async function measureRows(
  { device, pool }: GpuContext,
  { geometry, packedOperand }: LayerProblem,
  { images, a, output, gradient }: CapturedChunk,
): Promise<RowMeasure[]> {
  const { heads, rows, depth, columns } = geometry;
  const scope = pool.scope();
  try {
    const work: Dispatch[] = [];
    const statisticsOf = async (source: GPUBuffer, matrix: StridedMatrix, width: number): Promise<GPUBuffer> => {
      const statistics = scope.acquire(8 * images * rows, 'row statistics');
      const params = { images, heads, rows, columns: width, view: rowView(matrix) };
      work.push(await rowStatistics(device, { source, statistics }, params));
      return statistics;
    };
    const measured = [
      await statisticsOf(gradient, geometry.output, columns),
      await statisticsOf(output, geometry.output, columns),
      ...(packedOperand ? [] : [await statisticsOf(a, geometry.a, depth)]),
    ];
    submit(device, work);
    const [ofGradient, ofOutput, ofInput] = await Promise.all(
      measured.map((statistics) => readF32(device, statistics, 2 * images * rows)),
    );
    return Array.from({ length: images * rows }, (_, row) => ({
      gradient: ofGradient?.[2 * row + 1] as number,
      largestInput: ofInput?.[2 * row] ?? 0,
      largestOutput: ofOutput?.[2 * row] as number,
    }));
  } finally {
    scope.release();
  }
}

/** Rows in ascending order, with the number of rows that each stands for. */
interface RowChoice {
  readonly chosen: readonly number[];
  readonly weights: readonly number[];
  /** Every other row has a gradient of exactly zero. */
  readonly exact: boolean;
}

/** Up to `wanted` rows; fewer when the gradients of all others are exactly zero. */
function choose(measures: readonly RowMeasure[], wanted: number): RowChoice {
  const byGradient = ranked(measures, ({ gradient }) => gradient);
  const alive = byGradient.filter((row) => (measures[row] as RowMeasure).gradient > 0);
  if (alive.length <= wanted) {
    const chosen = (alive.length > 0 ? alive : byGradient.slice(0, 1)).sort((a, b) => a - b);
    return { chosen, weights: chosen.map(() => 1), exact: true };
  }
  const extremes = Math.floor(EXTREME_SHARE * wanted);
  const certain = new Set([
    ...ranked(measures, ({ largestInput }) => largestInput).slice(0, extremes),
    ...ranked(measures, ({ largestOutput }) => largestOutput).slice(0, extremes),
  ]);
  for (const row of byGradient) {
    if (certain.size >= CERTAIN_SHARE * wanted) break;
    certain.add(row);
  }
  const weightOf = new Map([...certain].map((row) => [row, 1]));
  const others = alive.filter((row) => !certain.has(row));
  const count = Math.min(others.length, wanted - certain.size);
  for (let i = 0; i < count; i++) {
    const [first, next] = [Math.floor((i * others.length) / count), Math.floor(((i + 1) * others.length) / count)];
    weightOf.set(others[(first + next) >> 1] as number, next - first);
  }
  const chosen = [...weightOf.keys()].sort((a, b) => a - b);
  return { chosen, weights: chosen.map((row) => weightOf.get(row) as number), exact: false };
}

/** Row numbers from the largest value down; equal values in ascending order. */
function ranked(measures: readonly RowMeasure[], value: (measure: RowMeasure) => number): number[] {
  return measures
    .map((_, row) => row)
    .sort((a, b) => value(measures[b] as RowMeasure) - value(measures[a] as RowMeasure) || a - b);
}

/** Adds rows that count nothing, in ascending order, until there are `count`. */
function fill({ chosen, weights, exact }: RowChoice, count: number, rows: number): RowChoice {
  const weightOf = new Map(chosen.map((row, i) => [row, weights[i] as number]));
  for (let row = 0; row < rows && weightOf.size < count; row++) if (!weightOf.has(row)) weightOf.set(row, 0);
  const filled = [...weightOf.keys()].sort((a, b) => a - b);
  return { chosen: filled, weights: filled.map((row) => weightOf.get(row) as number), exact };
}

/** Multiplies the rows of a matrix by the square roots of their weights: the score squares them. */
async function scaleRows(
  { device }: GpuContext,
  matrix: GPUBuffer,
  columns: number,
  weights: readonly number[],
): Promise<void> {
  if (weights.every((weight) => weight === 1)) return;
  const values = await readF32(device, matrix, weights.length * columns);
  weights.forEach((weight, row) => {
    const factor = Math.sqrt(weight);
    for (let i = row * columns; i < (row + 1) * columns; i++) values[i] = (values[i] as number) * factor;
  });
  device.queue.writeBuffer(matrix, 0, values as Float32Array<ArrayBuffer>);
}

async function gatherInto(
  { device, pool }: GpuContext,
  source: GPUBuffer,
  destination: GPUBuffer,
  view: RowView,
  indices: Uint32Array,
  { images, heads, columns, written }: { images: number; heads: number; columns: number; written: number },
): Promise<void> {
  const { offset, imageStride, headStride, rowStride } = view;
  const list = pool.upload(indices, 'row indices');
  const params = {
    images,
    heads,
    rows: indices.length / images,
    columns,
    view: { offset, imageStride, headStride, rowStride },
    targetOffset: written * columns,
  };
  submit(device, [await gatherRows(device, { source, indices: list, destination }, params)]);
  pool.release(list);
}

function denseRows(columns: number): RowView {
  return { offset: 0, imageStride: 0, headStride: 0, rowStride: columns };
}

function dense({ tensor }: StridedMatrix, heads: number, rows: number, columns: number): StridedMatrix {
  return {
    tensor,
    offset: 0,
    imageStride: heads * rows * columns,
    headStride: rows * columns,
    rowStride: columns,
    columnStride: 1,
  };
}

function concatenated<T>(parts: readonly (readonly T[])[]): T[] {
  return parts.flatMap((part) => [...part]);
}
