import type { IntegerModel } from '../format/model.ts';
import type { IntegerTensor } from '../format/program.ts';
import { readModelFile } from '../format/readModelFile.ts';
import type { DecodedImage } from '../io/images.ts';
import { preprocess } from '../io/preprocess.ts';
import { classification, type Classification } from './classification.ts';
import { integerAttention } from './integerAttention.ts';
import { referenceOperation, type TensorWords } from './referenceOperations.ts';

export interface ReferenceRunOptions {
  readonly signal?: AbortSignal;
  /** Called after each image with the images done and all of them. */
  readonly onImage?: (done: number, total: number) => void;
}

export interface ReferenceEngine {
  readonly model: IntegerModel;
  /** Real value of one unit of a logit. */
  readonly logitScale: number;
  readonly numClasses: number;
  /**
   * Logits i32 `[batch][classes]` of pixels uint8 `[batch][height][width][3]`, the event loop served between operations.
   *
   * @throws RangeError on another number of pixels; the reason of `signal` once it is aborted
   */
  run(pixels: Uint8Array, batch: number, options?: ReferenceRunOptions): Promise<Int32Array<ArrayBuffer>>;
  /** The most probable classes of one decoded picture, preprocessed as the model asks. */
  classify(
    image: DecodedImage,
    options?: { readonly top?: number; readonly signal?: AbortSignal },
  ): Promise<Classification>;
  /** Every tensor's words for one image of pixels, as they lie on a device, by name and in the order of computation. */
  trace(pixels: Uint8Array): TensorWords;
  /** Where the first token of one image of pixels looks: `integerAttention` of integerAttention.ts. */
  attention(pixels: Uint8Array): Map<string, Float32Array[]>;
}

/**
 * The integer engine in plain TypeScript: the model file over the twins of `reference/`. It gives the integers of a session on a
 * device, slowly, and needs no adapter.
 *
 * @throws FormatError what `readModelFile` refuses
 */
export function createReferenceEngine(bytes: Uint8Array, file = 'model'): ReferenceEngine {
  return referenceEngine(readModelFile(bytes, file));
}

/** The engine of a model in memory. */
export function referenceEngine(model: IntegerModel): ReferenceEngine {
  const { program, preprocessing, labels } = model;
  const input = program.tensors[program.input] as IntegerTensor;
  const output = program.tensors[program.output] as IntegerTensor;
  const imageBytes = input.rows * input.columns * 3;
  const numClasses = output.columns;
  const logitScale = output.scales[0] as number;

  const start = (pixels: Uint8Array): TensorWords => {
    const padded = new Uint8Array(4 * Math.ceil(imageBytes / 4));
    padded.set(pixels);
    return new Map([[program.input, new Uint32Array(padded.buffer)]]);
  };

  const run = async (pixels: Uint8Array, batch: number, { signal, onImage }: ReferenceRunOptions = {}) => {
    checkPixels(pixels, batch, imageBytes);
    const logits = new Int32Array(batch * numClasses);
    for (let image = 0; image < batch; image++) {
      const words = start(pixels.subarray(image * imageBytes, (image + 1) * imageBytes));
      for (const operation of program.operations) {
        await eventLoop();
        signal?.throwIfAborted();
        referenceOperation(model, operation, words);
      }
      logits.set(logitsOf(words.get(program.output) as Uint32Array, output), image * numClasses);
      onImage?.(image + 1, batch);
    }
    return logits;
  };

  const trace = (pixels: Uint8Array) => {
    checkPixels(pixels, 1, imageBytes);
    const words = start(pixels);
    for (const operation of program.operations) referenceOperation(model, operation, words);
    return words;
  };

  return {
    model,
    logitScale,
    numClasses,
    run,
    async classify(image, { top = 5, ...options } = {}) {
      const logits = await run(preprocess(image, preprocessing), 1, options);
      return classification(logits, logitScale, labels, top);
    },
    trace,
    attention: (pixels) => integerAttention(program, trace(pixels)),
  };
}

function checkPixels(pixels: Uint8Array, batch: number, imageBytes: number): void {
  if (!Number.isInteger(batch) || batch < 1)
    throw new RangeError(`batch must be an integer of at least 1, got ${batch}`);
  if (pixels.length !== batch * imageBytes) {
    throw new RangeError(`${batch} images have ${batch * imageBytes} bytes of pixels, got ${pixels.length}`);
  }
}

/** The row of logits, int16 or int32, as int32. */
function logitsOf(words: Uint32Array, { layout, columns }: IntegerTensor): Int32Array {
  if (layout === 'int32') return new Int32Array(words.buffer, words.byteOffset, columns);
  return Int32Array.from(new Int16Array(words.buffer, words.byteOffset, columns));
}

function eventLoop(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
