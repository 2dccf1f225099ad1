/** Both networks over the same pictures. */
import {
  compareLogits,
  createFloatRunner,
  type CalibrationImage,
  type Comparison,
  type Gpu,
  type Model,
  type RankedClass,
  type Session,
} from '../../src/index.ts';
import type { ImageResult } from '../record.ts';
import type { Picture } from './sources.ts';

export interface EvaluatedPicture {
  readonly picture: Picture;
  readonly image: CalibrationImage;
}

export interface Evaluation {
  readonly comparison: Comparison;
  readonly images: readonly ImageResult[];
  readonly integerLogits: Int32Array;
  readonly imagesPerSecond: { readonly float: number; readonly integer: number };
}

/** Pictures that run together. */
const BATCH = 8;

/** Logits of the float and of the integer network, their predictions, and how fast each was once it was warm. */
export async function evaluate(
  gpu: Gpu,
  model: Model,
  session: Session,
  pictures: readonly EvaluatedPicture[],
  signal: AbortSignal,
  onDone: (done: number) => void,
): Promise<Evaluation> {
  const classes = session.numClasses;
  const runner = await createFloatRunner(gpu, model);
  try {
    const floatLogits = new Float32Array(pictures.length * classes);
    const integerLogits = new Int32Array(pictures.length * classes);
    const spent = { float: 0, integer: 0 };
    const batchAt = (start: number) => pictures.slice(start, start + BATCH).map(({ image }) => image.rgb);
    const first = batchAt(0);
    await Promise.all([runner.logits(first), session.run(joined(first), first.length)]); // compiles, so that it is not timed
    for (let start = 0; start < pictures.length; start += BATCH) {
      signal.throwIfAborted();
      const batch = batchAt(start);
      const began = performance.now();
      floatLogits.set(await runner.logits(batch), start * classes);
      const between = performance.now();
      integerLogits.set(await session.run(joined(batch), batch.length), start * classes);
      spent.float += between - began;
      spent.integer += performance.now() - between;
      onDone(start + batch.length);
    }
    const real = Float32Array.from(integerLogits, (logit) => logit * session.logitScale);
    const labels = pictures.every(({ picture }) => picture.label !== null)
      ? pictures.map(({ picture }) => picture.label as number)
      : null;
    const names = model.config.labels ?? null;
    return {
      comparison: compareLogits({ logits: floatLogits, classes }, { logits: real, classes }, labels),
      images: pictures.map(({ picture }, i): ImageResult => {
        const [a, b] = [floatLogits, real].map((all) => all.subarray(i * classes, (i + 1) * classes)) as [
          Float32Array,
          Float32Array,
        ];
        const difference = a.reduce((most, value, k) => Math.max(most, Math.abs(value - (b[k] as number))), 0);
        return { file: picture.file, label: picture.label, float: best(a, names), integer: best(b, names), difference };
      }),
      integerLogits,
      imagesPerSecond: {
        float: (1000 * pictures.length) / spent.float,
        integer: (1000 * pictures.length) / spent.integer,
      },
    };
  } finally {
    runner.destroy();
  }
}

/** The most probable class of real logits, the first of equals. */
function best(logits: Float32Array, labels: readonly string[] | null): RankedClass {
  const index = logits.reduce((top, value, i) => (value > (logits[top] as number) ? i : top), 0);
  const largest = logits[index] as number;
  const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0);
  return { index, label: labels?.[index] ?? null, probability: 1 / sum };
}

function joined(images: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(images.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const image of images) {
    all.set(image, at);
    at += image.length;
  }
  return all;
}
