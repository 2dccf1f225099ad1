import type { BufferScope } from '../gpu/buffers.ts';
import { submit } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { gatherRows } from '../kernels/gatherRows.ts';
import { concatenate } from '../model/concatenate.ts';
import type { Tensors } from '../model/execute.ts';
import type { Network, Unit } from '../model/graph.ts';
import type { GpuContext } from '../quantize/context.ts';
import type { InputRows } from './nonlinearErrors.ts';
import { largestUnmasked } from './maskedLogits.ts';
import { nonlinearUses, type NonlinearUse } from './nonlinearUses.ts';
import { largestOfRows, rangedTensors, type RangedTensor } from './ranges.ts';

/** Most rows of a nonlinear operation that are kept in host memory, and most values unless that leaves fewer than 32 rows: 256 KiB. */
const MOST_ROWS = 256;
const MOST_VALUES = 2 ** 16;
const FEWEST_ROWS = 32;
/** Fraction of the golden ratio: multiples of it fill 0..1 evenly and repeat with no number of tokens. */
const GOLDEN = 0.618033988749895;

/** Rows of one nonlinear operation, gathered chunk by chunk. */
export interface UseSample {
  readonly use: NonlinearUse;
  /** Rows that are kept, over all images, in ascending order. */
  readonly chosen: readonly number[];
  readonly rows: Float32Array[];
  /** The row of the largest magnitude so far; the first of equals. */
  extreme: { readonly row: number; readonly largest: number; readonly values: Float32Array } | undefined;
}

/** What the float forward pass of a calibration leaves behind for integer inference. */
export interface ForwardStatistics {
  readonly tensors: readonly RangedTensor[];
  /** By name, in the order of the forward pass. */
  readonly ranges: Map<string, number>;
  readonly samples: readonly UseSample[];
}

/** Statistics of nothing yet, for `images` images. */
export function startStatistics(network: Network, images: number): ForwardStatistics {
  const tensors = rangedTensors(network);
  return {
    tensors,
    ranges: new Map(tensors.map(({ name }) => [name, 0])),
    samples: nonlinearUses(network).map((use) => ({
      use,
      chosen: spreadRows(images * use.rows, rowsKept(use.columns) - 1),
      rows: [],
      extreme: undefined,
    })),
  };
}

/**
 * Adds one unit's tensors of `images` images from `firstImage` on. Chunks come in order; their size does not matter.
 *
 * @throws CalibrationError naming the tensor whose values are not finite
 */
export async function observeUnit(
  context: GpuContext,
  { tensors: ranged, ranges, samples }: ForwardStatistics,
  unit: Unit,
  tensors: Tensors,
  { firstImage, images }: { readonly firstImage: number; readonly images: number },
): Promise<void> {
  for (const { tensor, name, factor, masked } of ranged.filter((entry) => entry.unit === unit)) {
    const columns = unit.elements[tensor] as number;
    const source = tensors.get(tensor) as GPUBuffer;
    const largest = masked
      ? await largestUnmasked(context, source, (images * columns) / masked.tokens, masked, name)
      : await largestOfRows(context, source, { rows: images, columns }, name);
    ranges.set(
      name,
      Math.max(ranges.get(name) as number, factor * largest.reduce((most, value) => Math.max(most, value))),
    );
  }
  for (const sample of samples.filter(({ use }) => use.unit === unit)) {
    const source = tensors.get(sample.use.operation.input) as GPUBuffer;
    const scope = context.pool.scope();
    try {
      await observeRows(context, sample, source, firstImage * sample.use.rows, images * sample.use.rows, scope);
    } finally {
      scope.release();
    }
  }
}

/** The rows of a sample, once all images were seen: those spread evenly over the images, and the row of the largest magnitude. */
export function inputRows({ use, chosen, rows, extreme }: UseSample): InputRows {
  const { columns } = use;
  if (!extreme || chosen.includes(extreme.row)) return { columns, values: concatenate(rows), numbers: chosen };
  return { columns, values: concatenate([...rows, extreme.values]), numbers: [...chosen, extreme.row] };
}

/** Keeps of `count` rows from `first` on those that are chosen, and the largest if it is larger than those before. */
async function observeRows(
  context: GpuContext,
  sample: UseSample,
  source: GPUBuffer,
  first: number,
  count: number,
  scope: BufferScope,
): Promise<void> {
  const { use, chosen, extreme } = sample;
  const { columns } = use;
  const name = `input of ${use.operation.name}`;
  const largest = use.masked
    ? await largestUnmasked(context, source, count, use.masked, name)
    : await largestOfRows(context, source, { rows: count, columns }, name);
  const top = largest.reduce((best, value, row) => (value > (largest[best] as number) ? row : best), 0);
  const inChunk = chosen.filter((row) => row >= first && row < first + count).map((row) => row - first);
  const indices = Uint32Array.from([...inChunk, top]);
  const destination = scope.acquire(4 * indices.length * columns, 'sampled rows');
  const dispatch = await gatherRows(
    context.device,
    { source, indices: scope.upload(indices, 'sampled row numbers'), destination },
    {
      images: 1,
      heads: 1,
      rows: indices.length,
      columns,
      view: { offset: 0, imageStride: 0, headStride: 0, rowStride: columns },
      targetOffset: 0,
    },
  );
  submit(context.device, [dispatch]);
  const values = await readF32(context.device, destination, indices.length * columns);
  sample.rows.push(values.slice(0, inChunk.length * columns));
  const magnitude = largest[top] as number;
  if (!extreme || magnitude > extreme.largest) {
    sample.extreme = { row: first + top, largest: magnitude, values: values.slice(inChunk.length * columns) };
  }
}

function rowsKept(columns: number): number {
  return Math.min(MOST_ROWS, Math.max(FEWEST_ROWS, Math.floor(MOST_VALUES / columns)));
}

/** Up to `most` of `total` rows, one of each equal run, at another place in every run. */
function spreadRows(total: number, most: number): number[] {
  if (total <= most) return Array.from({ length: total }, (_, row) => row);
  const rows = Array.from({ length: most }, (_, i) => Math.floor(((i + ((i * GOLDEN) % 1)) * total) / most));
  return [...new Set(rows)];
}
