import { philox2x32 } from '../calibrate/random.ts';
import type { Gpu } from '../gpu/device.ts';
import type { OperationTime } from '../infer/profile.ts';
import { sessionOf, type Session } from '../infer/session.ts';
import type { Model } from '../model/load.ts';
import { createFloatRunner, type Runner } from '../simulate/simulate.ts';
import { concatenateBytes } from './concatenateBytes.ts';
import type { ModelFile } from './modelFile.ts';
import { TileFileCache } from './tileFileCache.ts';

/** Time of a batch: the median over warm runs, from pixels in memory to logits in memory. */
export interface Timing {
  readonly imagesPerSecond: number;
  /** Of one batch. */
  readonly milliseconds: number;
  readonly runs: number;
}

export interface BatchTiming {
  readonly batch: number;
  readonly integer: Timing;
  /** Of the float model, its runs taken in turns with the integer ones; null without one. */
  readonly float: Timing | null;
  /** Images per second of integer over float. */
  readonly ratio: number | null;
}

export interface BenchResult {
  readonly batches: readonly BatchTiming[];
  /** Device time of each operation for `layersBatch` images, its median; null where the device has no timestamps. */
  readonly layers: readonly OperationTime[] | null;
  readonly layersBatch: number;
  readonly memory: {
    /** Of weights and everything else that is uploaded once. */
    readonly weightBytes: number;
    /** Of the arena of activations, at the largest batch. */
    readonly activationBytes: number;
    /** All device buffers of the float model at their most; null without one. */
    readonly floatBytes: number | null;
  };
}

export interface BenchOptions {
  readonly batches: readonly number[];
  /** Measured for this long a batch size, and at least `LEAST_RUNS` times. */
  readonly seconds: number;
  /** The float model that is timed in turns. */
  readonly against?: Model;
  readonly onProgress?: (stage: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const LEAST_RUNS = 3;
const PROFILE_RUNS = 5;

/** Times a model file on random pixels; with `against` the float model beside it on the same ones, run by run in turns. */
export async function benchModelFile(
  gpu: Gpu,
  { model }: ModelFile,
  { batches, seconds, against, onProgress, signal }: BenchOptions,
): Promise<BenchResult> {
  const { width, height } = model.preprocessing;
  const session = await sessionOf(gpu.device, model, { tiles: { cache: new TileFileCache() } });
  let float: Runner | undefined;
  try {
    float = against && (await createFloatRunner(gpu, against));
    const timings: BatchTiming[] = [];
    for (const batch of batches) {
      const progress = (done: number) => onProgress?.(`batch ${batch}`, done, 1);
      const images = randomImages(batch, width * height * 3);
      timings.push(await timeBatch(session, float, images, { seconds, progress, signal }));
      gpu.check();
    }
    const layersBatch = Math.min(session.maxBatch, Math.max(...batches));
    onProgress?.('layers', 0, 1);
    const layers = await profile(session, randomImages(layersBatch, width * height * 3), signal);
    return {
      batches: timings,
      layers,
      layersBatch,
      memory: { ...session.memory, floatBytes: float?.deviceBytes ?? null },
    };
  } finally {
    float?.destroy();
    session.destroy();
  }
}

interface TimeControl {
  readonly seconds: number;
  readonly progress: (done: number) => void;
  readonly signal: AbortSignal | undefined;
}

async function timeBatch(
  session: Session,
  float: Runner | undefined,
  images: readonly Uint8Array[],
  { seconds, progress, signal }: TimeControl,
): Promise<BatchTiming> {
  const pixels = concatenateBytes(images);
  const runs = [() => session.run(pixels, images.length), ...(float ? [() => float.logits(images)] : [])];
  const times = runs.map((): number[] => []);
  progress(0);
  for (const run of runs) {
    signal?.throwIfAborted();
    await run(); // compiles, chooses tiles, fills caches
  }
  const start = performance.now();
  for (let elapsed = 0; elapsed < 1000 * seconds || (times[0] as number[]).length < LEAST_RUNS;) {
    for (const [i, run] of runs.entries()) {
      signal?.throwIfAborted();
      const before = performance.now();
      await run();
      times[i]?.push(performance.now() - before);
    }
    elapsed = performance.now() - start;
    progress(Math.min(1, elapsed / (1000 * seconds), (times[0] as number[]).length / LEAST_RUNS));
  }
  const [integer, floating] = times.map((found) => timing(found, images.length)) as [Timing, Timing?];
  const ratio = floating ? integer.imagesPerSecond / floating.imagesPerSecond : null;
  return { batch: images.length, integer, float: floating ?? null, ratio };
}

function timing(times: readonly number[], images: number): Timing {
  const milliseconds = median(times);
  return { imagesPerSecond: (1000 * images) / milliseconds, milliseconds, runs: times.length };
}

async function profile(
  session: Session,
  images: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<OperationTime[] | null> {
  const pixels = concatenateBytes(images);
  const runs: (readonly OperationTime[])[] = [];
  for (let i = 0; i < PROFILE_RUNS; i++) {
    signal?.throwIfAborted();
    const times = await session.profile(pixels, images.length);
    if (!times) return null;
    runs.push(times);
  }
  const [first = []] = runs;
  return first.map((operation, i) => ({
    ...operation,
    milliseconds: median(runs.map((times) => (times[i] as OperationTime).milliseconds)),
  }));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}

/** `count` images of random bytes, the same on every machine. */
function randomImages(count: number, bytes: number): Uint8Array[] {
  return Array.from({ length: count }, (_, image) => {
    const words = new Uint32Array(Math.ceil(bytes / 4));
    for (let i = 0; i < words.length; i += 2)
      words.set(philox2x32([i, image], PIXEL_SEED).slice(0, words.length - i), i);
    return new Uint8Array(words.buffer, 0, bytes);
  });
}

const PIXEL_SEED = 0x706978;
