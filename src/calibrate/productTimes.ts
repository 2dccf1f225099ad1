import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { record, release, type Dispatch } from '../gpu/kernel.ts';
import { codeWords } from '../kernels/codes.ts';
import { matmulCodes } from '../kernels/matmulCodes.ts';
import { planesDepth } from '../kernels/quantizeLevels.ts';
import { isSearched, type Network } from '../model/graph.ts';
import { productGeometry, type ProductGeometry } from '../quantize/geometry.ts';
import type { Control } from './progress.ts';
import { shapedOperand } from './sensitivity.ts';

/** Median time of the integer product of one layer for one image, in milliseconds. */
export interface ProductTime {
  readonly name: string;
  /** With one code a value: uniform codes and twin ranges. */
  readonly codesMs: number;
  /** With levels, which are read as two planes of codes; undefined for a layer that has none. */
  readonly levelsMs: number | undefined;
}

/** Submits that are timed, after one that is not. */
const SUBMITS = 5;
/** Products in a submit: what a submit costs by itself is shared by them. */
const PRODUCTS = 4;

/**
 * Measures the integer product of every layer of `network` at its shape on this adapter. Layers of one shape are measured once. The
 * width of a code is no part of it: codes of all widths are multiplied as bytes.
 */
export async function measureProductTimes(
  gpu: Gpu,
  network: Network,
  { onProgress, signal }: Control = {},
): Promise<ProductTime[]> {
  using pool = new BufferPool(gpu.device);
  const layers = network.units.flatMap((unit) =>
    unit.operations.filter(isSearched).map((operation) => {
      return { name: operation.name, geometry: productGeometry(operation, unit), shaped: shapedOperand(operation) };
    }),
  );
  const known = new Map<string, number>();
  const timeOf = async (geometry: ProductGeometry, depth: number): Promise<number> => {
    const { windows, heads, rows, columns } = geometry;
    const key = [windows, heads, rows, depth, columns, geometry.b !== undefined].join();
    const time = known.get(key) ?? (await medianTime(gpu.device, pool, geometry, depth));
    known.set(key, time);
    return time;
  };
  const times: ProductTime[] = [];
  for (const { name, geometry, shaped } of layers) {
    signal?.throwIfAborted();
    const codesMs = await timeOf(geometry, geometry.depth);
    const levelsMs = shaped && (await timeOf(geometry, planesDepth(geometry.depth)));
    times.push({ name, codesMs, levelsMs });
    onProgress?.({ stage: 'timing products', done: times.length, total: layers.length });
  }
  gpu.check();
  return times;
}

async function medianTime(
  device: GPUDevice,
  pool: BufferPool,
  { windows, heads, rows, columns, b }: ProductGeometry,
  depth: number,
): Promise<number> {
  const scope = pool.scope();
  try {
    const words = codeWords(depth);
    const buffers = {
      a: scope.acquire(4 * windows * heads * rows * words, 'timed left codes'),
      b: scope.acquire(4 * (b ? windows * heads : 1) * words * columns, 'timed right codes'),
      scales: scope.acquire(4 * columns, 'timed scales'),
      bias: null,
      y: scope.acquire(4 * windows * heads * rows * columns, 'timed product'),
    };
    const product = await matmulCodes(device, buffers, {
      images: windows,
      heads,
      rows,
      depth,
      columns,
      aKind: 'uniform',
      aBits: 8,
      shift: 0,
      bBatchStride: b ? words * columns : 0,
      scaleHeadStride: 0,
      scaleColumnStride: 1,
      output: { offset: 0, imageStride: heads * rows * columns, headStride: rows * columns, rowStride: columns },
      outputType: 'i32',
    });
    const times: number[] = [];
    for (let i = 0; i <= SUBMITS; i++) {
      const ms = await timeOnce(device, product);
      if (i > 0) times.push(ms / PRODUCTS);
    }
    release(product);
    return times.sort((first, second) => first - second)[Math.floor(SUBMITS / 2)] as number;
  } finally {
    scope.release();
    pool.trim();
  }
}

/** Milliseconds of one submit, from its recording to the end of its work. */
async function timeOnce(device: GPUDevice, product: Dispatch): Promise<number> {
  const started = performance.now();
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < PRODUCTS; i++) record(pass, product);
  pass.end();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - started;
}
