import { submit } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { columnRange } from '../kernels/columnRange.ts';
import { concatenate } from '../model/concatenate.ts';
import type { Tensors } from '../model/execute.ts';
import type { Network, Unit } from '../model/graph.ts';
import {
  CHANNEL_BINS,
  channelBin,
  type HeadMoments,
  type ChannelRange,
  type ChannelRanges,
} from '../quantize/channelRanges.ts';
import type { GpuContext } from '../quantize/context.ts';
import { channelTensors, foldingSites, headsOf, type ChannelTensor } from '../quantize/foldingSites.ts';
import { CalibrationError } from './errors.ts';

/** Most values of a tensor that are held until its last image is seen: 64 MiB. */
const MOST_VALUES = 2 ** 24;

/** Values of the channels of one tensor, chunk by chunk. */
interface Observed {
  readonly low: Float32Array;
  readonly high: Float32Array;
  /** f32 `[rows][columns]` of each chunk. */
  readonly rows: Float32Array[];
}

/** What is known so far of the tensors whose channels foldings look at. */
export interface ChannelStatistics {
  readonly images: number;
  readonly tensors: readonly ChannelTensor[];
  /** Channels of each head of queries and of keys, by tensor. */
  readonly heads: ReadonlyMap<string, readonly (readonly number[])[]>;
  /** Of tensors whose last image has not been seen. */
  readonly observed: Map<string, Observed>;
  /** Of tensors whose last image has been seen. */
  readonly ranges: Map<string, ChannelRange> & ChannelRanges;
}

/** Statistics of nothing yet, for `images` images. */
export function startChannelStatistics(network: Network, images: number): ChannelStatistics {
  const sites = foldingSites(network);
  const tensors = channelTensors(sites);
  const heads = new Map(tensors.map(({ name }) => [name, headsOf(sites, name)]));
  return { images, tensors, heads, observed: new Map(), ranges: new Map() };
}

/**
 * Adds one unit's tensors of `images` images from `firstImage` on. Chunks come in order; their size does not matter. Ends are exact; a
 * histogram leaves out evenly spread rows where a tensor of all images has more than 2^24 values.
 *
 * @throws CalibrationError naming the tensor whose values are not finite
 */
export async function observeChannels(
  context: GpuContext,
  statistics: ChannelStatistics,
  unit: Unit,
  tensors: Tensors,
  { firstImage, images }: { readonly firstImage: number; readonly images: number },
): Promise<void> {
  for (const tensor of statistics.tensors.filter((entry) => entry.unit === unit.name)) {
    const { name, columns } = tensor;
    const source = tensors.get(tensor.tensor) as GPUBuffer;
    const observed = statistics.observed.get(name) ?? nothing(columns);
    statistics.observed.set(name, observed);
    await addEnds(context, tensor, source, images, observed);
    const values = await readF32(context.device, source, images * tensor.rows * columns);
    const total = statistics.images * tensor.rows;
    observed.rows.push(spreadRows(values, columns, firstImage * tensor.rows, total, Math.floor(MOST_VALUES / columns)));
    if (firstImage + images < statistics.images) continue;
    statistics.ranges.set(name, rangeOf(observed, statistics.heads.get(name) ?? []));
    statistics.observed.delete(name);
  }
}

function nothing(columns: number): Observed {
  return { low: new Float32Array(columns).fill(Infinity), high: new Float32Array(columns).fill(-Infinity), rows: [] };
}

async function addEnds(
  { device, pool }: GpuContext,
  { name, rows, columns }: ChannelTensor,
  source: GPUBuffer,
  images: number,
  { low, high }: Observed,
): Promise<void> {
  const scope = pool.scope();
  try {
    const ranges = scope.acquire(8 * images * columns, 'channel ranges');
    submit(device, [await columnRange(device, { source, ranges }, { groups: images, rows, columns })]);
    const ends = await readF32(device, ranges, 2 * images * columns);
    if (!ends.every(Number.isFinite)) {
      throw new CalibrationError(`${name} holds values that are not finite; is the checkpoint damaged?`);
    }
    for (let i = 0; i < images * columns; i++) {
      const column = i % columns;
      low[column] = Math.min(low[column] as number, ends[2 * i] as number);
      high[column] = Math.max(high[column] as number, ends[2 * i + 1] as number);
    }
  } finally {
    scope.release();
  }
}

/** Of the rows `first` and on of `total`, those that are among `most` rows spread evenly over all. */
function spreadRows(values: Float32Array, columns: number, first: number, total: number, most: number): Float32Array {
  if (total <= most) return values;
  const rows = Array.from({ length: values.length / columns }, (_, row) => row).filter(
    (row) => Math.floor(((first + row + 1) * most) / total) > Math.floor(((first + row) * most) / total),
  );
  return concatenate(rows.map((row) => values.subarray(row * columns, (row + 1) * columns)));
}

/** Ends and histogram of each channel, and moments of each of `heads`. */
function rangeOf({ low, high, rows }: Observed, heads: readonly (readonly number[])[]): ChannelRange {
  const columns = low.length;
  const counts = new Uint32Array(columns * CHANNEL_BINS);
  for (const values of rows) {
    for (let at = 0, column = 0; at < values.length; at++) {
      const bin = channelBin(values[at] as number, low[column] as number, high[column] as number);
      const index = column * CHANNEL_BINS + bin;
      counts[index] = (counts[index] as number) + 1;
      if (++column === columns) column = 0;
    }
  }
  return { low, high, counts, moments: heads.map((channels) => momentsOf(rows, columns, channels)) };
}

/** Summed in blocks of rows that go on from chunk to chunk: how images are cut changes nothing. */
function momentsOf(chunks: readonly Float32Array[], columns: number, channels: readonly number[]): HeadMoments {
  const size = channels.length;
  const mean = new Float64Array(size);
  const products = new Float64Array(size * size);
  const block = new Float64Array(size * BLOCK_ROWS);
  let [count, filled] = [0, 0];
  for (const values of chunks) {
    for (let first = 0; first < values.length; first += columns, count++) {
      for (let i = 0; i < size; i++) {
        const x = values[first + (channels[i] as number)] as number;
        block[i * BLOCK_ROWS + filled] = x;
        mean[i] = (mean[i] as number) + x;
      }
      if (++filled < BLOCK_ROWS) continue;
      addProducts(block, products, size);
      filled = 0;
    }
  }
  if (filled > 0) {
    for (let i = 0; i < size; i++) block.fill(0, i * BLOCK_ROWS + filled, (i + 1) * BLOCK_ROWS);
    addProducts(block, products, size);
  }
  const symmetric = products.map((_, i) => {
    const [a, b] = [Math.floor(i / size), i % size];
    return (products[Math.max(a, b) * size + Math.min(a, b)] as number) / count;
  });
  return { channels, mean: mean.map((sum) => sum / count), products: symmetric };
}

/** Rows that are multiplied together: a processor keeps those of one channel in registers. */
const BLOCK_ROWS = 8;

/** `products[i][j] += sum of block[i] block[j]`, j <= i. */
function addProducts(block: Float64Array, products: Float64Array, size: number): void {
  for (let i = 0; i < size; i++) {
    const [a0, a1, a2, a3, a4, a5, a6, a7] = block.subarray(i * BLOCK_ROWS, (i + 1) * BLOCK_ROWS) as unknown as Eight;
    for (let j = 0, at = 0; j <= i; j++, at += BLOCK_ROWS) {
      const first = a0 * (block[at] as number) + a1 * (block[at + 1] as number);
      const second = a2 * (block[at + 2] as number) + a3 * (block[at + 3] as number);
      const third = a4 * (block[at + 4] as number) + a5 * (block[at + 5] as number);
      const fourth = a6 * (block[at + 6] as number) + a7 * (block[at + 7] as number);
      products[i * size + j] = (products[i * size + j] as number) + (first + second + (third + fourth));
    }
  }
}

type Eight = readonly [number, number, number, number, number, number, number, number];
