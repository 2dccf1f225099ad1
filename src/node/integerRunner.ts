import { referenceEngine } from '../infer/referenceEngine.ts';
import { sessionOf } from '../infer/session.ts';
import { concatenateBytes } from './concatenateBytes.ts';
import type { ModelFile } from './modelFile.ts';
import { TileFileCache } from './tileFileCache.ts';

/** What computes a model file: kernels of integers alone, with float nonlinearities between them, or plain TypeScript. */
export type Runtime = 'integer' | 'mixed' | 'reference';

export interface RunControl {
  readonly signal?: AbortSignal;
  /** Called with the images that are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A model file ready to run by one of the runtimes. */
export interface IntegerRunner {
  /** Real value of one unit of a logit. */
  readonly logitScale: number;
  /** Logits i32 `[images, classes]` of preprocessed images, uint8 `[height, width, 3]` each. */
  run(images: readonly Uint8Array[], control?: RunControl): Promise<Int32Array>;
  destroy(): void;
}

/** Images of a batch on a device. */
const BATCH = 8;

/**
 * The kernels of a model file on `device`.
 *
 * @throws UnsupportedDeviceError when the device lacks what the model needs, with the number
 */
export async function createDeviceRunner(
  device: GPUDevice,
  { model }: ModelFile,
  runtime: 'integer' | 'mixed',
): Promise<IntegerRunner> {
  const session = await sessionOf(device, model, { runtime, tiles: { cache: new TileFileCache() } });
  return {
    logitScale: session.logitScale,
    async run(images, { signal, onProgress } = {}) {
      const logits = new Int32Array(images.length * session.numClasses);
      for (let start = 0; start < images.length; start += BATCH) {
        signal?.throwIfAborted();
        onProgress?.(start, images.length);
        const batch = images.slice(start, start + BATCH);
        logits.set(await session.run(concatenateBytes(batch), batch.length), start * session.numClasses);
      }
      onProgress?.(images.length, images.length);
      return logits;
    },
    destroy: () => session.destroy(),
  };
}

/** The plain TypeScript engine: the same integers as `integer` without an adapter, slowly. */
export function createReferenceRunner({ model }: ModelFile): IntegerRunner {
  const engine = referenceEngine(model);
  return {
    logitScale: engine.logitScale,
    run(images, { signal, onProgress } = {}) {
      onProgress?.(0, images.length);
      return engine.run(concatenateBytes(images), images.length, {
        ...(signal ? { signal } : {}),
        ...(onProgress ? { onImage: onProgress } : {}),
      });
    },
    destroy: () => undefined,
  };
}
