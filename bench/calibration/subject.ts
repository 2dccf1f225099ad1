import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { Model } from '../../src/model/load.ts';
import { loadModelFolder } from '../../src/node/modelFolder.ts';
import { goldenLogits, labelledImages } from '../support/data.ts';

/** Images under a name that tells them from others. */
export interface ImageSet {
  readonly name: string;
  readonly images: readonly CalibrationImage[];
}

/** Images with what the float network makes of them. */
export interface EvaluationSet extends ImageSet {
  /** Class of each image; null where they show none. */
  readonly labels: readonly number[] | null;
  /** f32 `[images][classes]` */
  readonly float: Float32Array;
}

/** A real model with photos for it. */
export interface Subject {
  readonly name: string;
  readonly model: Model;
  readonly calibration: ImageSet;
  readonly evaluation: EvaluationSet;
}

export interface SubjectSizes {
  /** Photos of `calib` to calibrate on. */
  readonly count: number;
  /** Photos of `eval` to evaluate on; all when it has fewer. */
  readonly evaluation: number;
}

/** Loads a model and its photos, decoded once; the float logits are PyTorch's. */
export async function loadSubject(data: string, folder: string, name: string, sizes: SubjectSizes): Promise<Subject> {
  const model = await loadModelFolder(`${data}/${folder}`);
  const photos = `${data}/imagenet-sample`;
  const calib = await labelledImages(`${photos}/calib`, model);
  const { images, labels } = await labelledImages(`${photos}/eval`, model);
  const labelsFile = `${photos}/eval/labels.csv`;
  const float = await goldenLogits(`${data}/${folder}/golden.safetensors`, 'eval.logits', labelsFile, images);
  const all: EvaluationSet = { name: 'eval', images, labels, float };
  return {
    name,
    model,
    calibration: { name: 'calib', images: calib.images.slice(0, sizes.count) },
    evaluation: spaced(all, sizes.evaluation),
  };
}

/** `count` images of a set, at even distances. */
function spaced(set: EvaluationSet, count: number): EvaluationSet {
  const { length } = set.images;
  if (count >= length) return set;
  const rows = Array.from({ length: count }, (_, i) => Math.floor((i * length) / count));
  return chosenOf(set, rows, `${count} of ${set.name}`);
}

/** The images of a set at `rows`. */
export function chosenOf(
  { images, labels, float }: EvaluationSet,
  rows: readonly number[],
  name: string,
): EvaluationSet {
  const classes = float.length / images.length;
  const chosen = new Float32Array(rows.length * classes);
  rows.forEach((row, i) => {
    chosen.set(float.subarray(row * classes, (row + 1) * classes), i * classes);
  });
  return {
    name,
    images: rows.map((row) => images[row] as CalibrationImage),
    labels: labels && rows.map((row) => labels[row] as number),
    float: chosen,
  };
}
