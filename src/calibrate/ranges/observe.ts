import type { BufferScope } from '../../gpu/buffers.ts';
import { submit } from '../../gpu/kernel.ts';
import { readBytes, readF32 } from '../../gpu/readback.ts';
import { histogram } from '../../kernels/histogram.ts';
import { rangeStatistics } from '../../kernels/rangeStatistics.ts';
import { ROWS_PER_GROUP } from '../../kernels/scoreElementwise.ts';
import type { GpuContext } from '../../quantize/context.ts';
import type { StridedMatrix } from '../../quantize/geometry.ts';
import { rowView } from '../layerScorer.ts';
import { BINS, type Distribution, type Interval } from './distribution.ts';

/** Part of an operand's images, each of `windows` windows, f32. */
export interface OperandChunk {
  /** Counted as windows. */
  readonly images: number;
  readonly values: GPUBuffer;
}

/** The matrix of each window and head, with columns of stride 1. */
export interface OperandShape {
  /** Of an image: its range is that of all of them. */
  readonly windows: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  readonly view: StridedMatrix;
}

/**
 * How the values of an operand are distributed: as a whole, or for each head. Ends come from a first pass over the chunks, counts from
 * a second one with bins that hold the largest magnitude exactly, so that nothing is rebinned and chunks do not matter. Counts of a chunk
 * stay below 2^32 because its buffer does.
 */
export async function observe(
  context: GpuContext,
  chunks: readonly OperandChunk[],
  shape: OperandShape,
  { perHead, counted }: { readonly perHead: boolean; readonly counted: boolean },
): Promise<Distribution[]> {
  const ends = (await Promise.all(chunks.map((chunk) => endsOf(context, chunk, shape, perHead)))).flat();
  const groups = perHead ? shape.heads : 1;
  const distributions = Array.from({ length: groups }, (_, group): Distribution => {
    const images = ends.map((image) => image[group] as Interval);
    const { low, high } = union(images);
    return { low, high, images, counts: new Float64Array(counted ? 2 * BINS : 0), width: Math.max(-low, high) / BINS };
  });
  if (!counted) return distributions;
  for (const chunk of chunks) await count(context, chunk, shape, distributions);
  return distributions;
}

/** The least interval that holds all of `intervals`. */
export function union(intervals: readonly Interval[]): Interval {
  return intervals.reduce((all, { low, high }) => ({ low: Math.min(all.low, low), high: Math.max(all.high, high) }));
}

/** Ends `[images][groups]` of a chunk. */
async function endsOf(
  { device, pool }: GpuContext,
  { images, values }: OperandChunk,
  { windows, heads, rows, columns, view }: OperandShape,
  perHead: boolean,
): Promise<Interval[][]> {
  const scope = pool.scope();
  try {
    const lines = Math.ceil(rows / ROWS_PER_GROUP);
    const count = images * heads * lines;
    const statistics = scope.acquire(16 * count, 'range statistics');
    const params = { images, heads, rows, columns, view: rowView(view) };
    submit(device, [await rangeStatistics(device, { source: values, statistics }, params)]);
    const measured = await readF32(device, statistics, 4 * count);
    return Array.from({ length: images / windows }, (_, image) => {
      const ofHeads = Array.from({ length: heads }, (_, head) =>
        union(
          Array.from({ length: windows * lines }, (_, i) => {
            const window = image * windows + Math.floor(i / lines);
            const line = (window * heads + head) * lines + (i % lines);
            return { low: measured[4 * line + 1] as number, high: measured[4 * line + 2] as number };
          }),
        ),
      );
      return perHead ? ofHeads : [union(ofHeads)];
    });
  } finally {
    scope.release();
  }
}

/** Adds the counts of a chunk to `distributions`. */
async function count(
  { device, pool }: GpuContext,
  { images, values }: OperandChunk,
  { heads, rows, columns, view }: OperandShape,
  distributions: readonly Distribution[],
): Promise<void> {
  const scope: BufferScope = pool.scope();
  try {
    const of = (head: number) => distributions[distributions.length === 1 ? 0 : head] as Distribution;
    const inverses = Float32Array.from({ length: heads }, (_, head) => inverseWidth(of(head).width));
    const counts = scope.zeros(8 * heads * BINS, 'histogram');
    const buffers = { source: values, inverseWidths: scope.upload(inverses, 'inverse widths'), counts };
    submit(device, [
      await histogram(device, buffers, { images, heads, rows, columns, bins: BINS, view: rowView(view) }),
    ]);
    const found = new Uint32Array(await readBytes(device, counts, 8 * heads * BINS));
    for (let head = 0; head < heads; head++) {
      const target = of(head).counts;
      found.subarray(2 * head * BINS, 2 * (head + 1) * BINS).forEach((value, bin) => {
        target[bin] = (target[bin] as number) + value;
      });
    }
  } finally {
    scope.release();
  }
}

/** 0, one bin for all, where the values are too small for a bin. */
function inverseWidth(width: number): number {
  const inverse = Math.fround(1 / width);
  return inverse < Infinity ? inverse : 0;
}
