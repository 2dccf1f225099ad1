import type { Gpu, IntegerRunner, ModelFile, Runtime } from '../node.ts';
import type { Progress } from './progress.ts';

/** A model file on what runs it. */
export interface OpenRunner {
  readonly runner: IntegerRunner;
  /** Undefined where nothing needs an adapter. */
  readonly gpu: Gpu | undefined;
  readonly close: () => void;
}

export interface OpenOptions {
  readonly runtime: Runtime;
  /** Whether something else needs an adapter, even where the runtime does not. */
  readonly needsAdapter: boolean;
  /** Flag that runs without an adapter, for the error of a machine that has none. */
  readonly withoutAdapter: string;
}

/** Opens the adapter, where one is needed, and makes the model file ready on it. */
export async function openRunner(
  file: ModelFile,
  { runtime, needsAdapter, withoutAdapter }: OpenOptions,
  progress: Progress,
): Promise<OpenRunner> {
  const node = await import('../node.ts');
  const reference = runtime === 'reference';
  if (reference) {
    progress.note('twinshift: the plain TypeScript engine computes on one CPU core: the same integers, but slowly');
  }
  const opened =
    reference && !needsAdapter
      ? undefined
      : await node.openNodeGpu().catch((error: unknown) => {
          if (needsAdapter || !(error instanceof node.UnsupportedDeviceError)) throw error;
          const text = `${error.message} Or run without one, slowly: ${withoutAdapter}.`;
          throw new node.UnsupportedDeviceError(text, { cause: error });
        });
  try {
    if (opened && !reference) progress.report({ stage: 'preparing the model', done: 0, total: 1 });
    const runner =
      opened && runtime !== 'reference'
        ? await node.createDeviceRunner(opened.gpu.device, file, runtime)
        : node.createReferenceRunner(file);
    return {
      runner,
      gpu: opened?.gpu,
      close() {
        runner.destroy();
        opened?.close();
      },
    };
  } catch (error) {
    opened?.close();
    throw error;
  }
}
