import { classification, type RankedClass } from '../infer/classification.ts';
import type { IntegerRunner, RunControl } from './integerRunner.ts';
import { loadPixels } from './loadImage.ts';
import type { ModelFile } from './modelFile.ts';

/** What a model file says about one image. */
export interface ClassifiedFile {
  /** As it was given. */
  readonly file: string;
  /** One a class. */
  readonly logits: readonly number[];
  /** Real value of one unit of a logit. */
  readonly logitScale: number;
  /** The most probable classes, the first first. */
  readonly top: readonly NamedClass[];
}

export interface NamedClass {
  /** The model file's, or the index where it has none. */
  readonly label: string;
  readonly index: number;
  /** Softmax of the real logits, in 0..1. */
  readonly probability: number;
}

/** Images decoded at a time: the decoder has threads of its own. */
const AT_ONCE = 8;

/**
 * Pixels of image files, uint8 `[height, width, 3]` each, preprocessed for the model.
 *
 * @throws FormatError, InputError naming the first image that cannot be read
 */
export async function readImages(
  { model }: ModelFile,
  files: readonly string[],
  { signal, onProgress }: RunControl = {},
): Promise<Uint8Array[]> {
  const images: Uint8Array[] = [];
  for (let start = 0; start < files.length; start += AT_ONCE) {
    signal?.throwIfAborted();
    onProgress?.(start, files.length);
    const names = files.slice(start, start + AT_ONCE);
    images.push(...(await Promise.all(names.map((name) => loadPixels(name, model.preprocessing)))));
  }
  return images;
}

/** Classifies the pixels of `files`, read by `readImages`. */
export async function classifyFiles(
  { model }: ModelFile,
  runner: IntegerRunner,
  files: readonly string[],
  images: readonly Uint8Array[],
  { top, ...control }: RunControl & { readonly top: number },
): Promise<ClassifiedFile[]> {
  const logits = await runner.run(images, control);
  const classes = logits.length / images.length;
  const { logitScale } = runner;
  return files.map((file, i) => {
    const own = logits.slice(i * classes, (i + 1) * classes);
    const ranked = classification(own, logitScale, model.labels, top).top;
    return { file, logits: Array.from(own), logitScale, top: ranked.map(named) };
  });
}

function named({ label, index, probability }: RankedClass): NamedClass {
  return { label: label ?? String(index), index, probability };
}
