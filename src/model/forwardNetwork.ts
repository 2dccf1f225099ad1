import { readF32 } from '../gpu/readback.ts';
import type { ExecutionContext, SearchedExecutor, Tensors } from './context.ts';
import { forwardUnit } from './forward.ts';
import type { Network, Unit } from './graph.ts';
import { elementsOf } from './tensors.ts';

export interface ForwardOptions {
  /** Images computed together, at most what fits one binding; the logits do not depend on it. */
  readonly imagesPerChunk?: number;
  /** Called after each chunk with the number of images done. */
  readonly onProgress?: (images: number) => void;
  /** Stops between units with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Sees the tensors of every unit of a chunk before they are freed. */
  readonly onUnit?: (unit: Unit, tensors: Tensors) => Promise<void>;
}

/**
 * Logits of a batch of images. Device memory holds the tensors of one unit and one chunk, and the parameters.
 *
 * @param patches f32 `[images, patches, 3 * patchSize^2]`, see `unfoldPatches`
 * @param executor computes the searched layers; in float when absent
 * @returns f32 `[images, numClasses]`
 */
export async function forwardNetwork(
  context: ExecutionContext,
  network: Network,
  patches: Float32Array,
  images: number,
  executor?: SearchedExecutor,
  options: ForwardOptions = {},
): Promise<Float32Array> {
  const perImage = patches.length / images;
  const [first] = network.units;
  if (!first || perImage !== elementsOf(first, first.input)) {
    throw new RangeError(`${images} images need ${images} times the patches of one, got ${patches.length} values`);
  }
  const chunk = Math.min(options.imagesPerChunk ?? 8, largestChunk(context.device, network));
  const logits = new Float32Array(images * network.numClasses);
  for (let start = 0; start < images; start += chunk) {
    const count = Math.min(chunk, images - start);
    const part = patches.subarray(start * perImage, (start + count) * perImage);
    logits.set(await forwardChunk(context, network, part, count, executor, options), start * network.numClasses);
    options.onProgress?.(start + count);
  }
  return logits;
}

/** Images whose largest tensor still fits one binding; at least 1. */
export function largestChunk(device: GPUDevice, network: Network): number {
  const largest = Math.max(...network.units.flatMap((unit) => Object.values(unit.elements)));
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  return Math.max(1, Math.floor(limit / (4 * largest)));
}

async function forwardChunk(
  context: ExecutionContext,
  network: Network,
  patches: Float32Array,
  images: number,
  executor: SearchedExecutor | undefined,
  { signal, onUnit }: ForwardOptions,
): Promise<Float32Array> {
  const { pool, device } = context;
  let input = pool.upload(patches, 'patches');
  try {
    for (const unit of network.units) {
      signal?.throwIfAborted();
      const scope = pool.scope();
      try {
        const tensors = await forwardUnit(context, unit, input, images, scope, executor);
        await onUnit?.(unit, tensors);
        const output = scope.keep(tensors.get(unit.output) as GPUBuffer);
        pool.release(input);
        input = output;
      } finally {
        scope.release();
      }
    }
    return await readF32(device, input, images * network.numClasses);
  } finally {
    pool.release(input);
  }
}
