import { klDivergence } from './divergence.ts';
import { argmax, placeOf } from './rank.ts';

/** Logits of one network for a list of images, f32, `[images, classes]` row by row. */
export interface LogitTable {
  readonly logits: Float32Array;
  readonly classes: number;
}

/** How well a quantized network does against its float original on the same images. */
export interface Comparison {
  readonly images: number;
  /** Fractions of the images whose label is the first, or among the first five, of the quantized network; null without labels. */
  readonly top1: number | null;
  readonly top5: number | null;
  /** The same of the float network. */
  readonly floatTop1: number | null;
  readonly floatTop5: number | null;
  /** Fraction of the images on which both networks name the same class first. */
  readonly agreement: number;
  /** 100 (floatTop1 - top1): what quantization costs, in percentage points; null without labels. */
  readonly topOneDropPoints: number | null;
  /** Mean over images of KL(float || quantized), nats. */
  readonly klDivergence: number;
  /** 10 log10(sum z^2 / sum (z - zq)^2) over all logits, dB; null where there is no error at all. */
  readonly logitSqnrDb: number | null;
}

/**
 * Compares the logits of a quantized network with those of the float network. Equal logits rank by class index.
 *
 * @param labels class of each image, or null where they are not known
 * @throws RangeError when sizes disagree, there is no image, a label is outside `0..classes - 1` or a logit is not finite
 */
export function compareLogits(float: LogitTable, quantized: LogitTable, labels: readonly number[] | null): Comparison {
  const images = checkTables(float, quantized, labels);
  const classes = float.classes;
  const hits = { top1: 0, top5: 0, floatTop1: 0, floatTop5: 0, agreement: 0 };
  let divergence = 0;
  let power = 0;
  let error = 0;
  for (let image = 0; image < images; image++) {
    const z = float.logits.subarray(image * classes, (image + 1) * classes);
    const zq = quantized.logits.subarray(image * classes, (image + 1) * classes);
    for (let i = 0; i < classes; i++) {
      power += (z[i] as number) ** 2;
      error += ((z[i] as number) - (zq[i] as number)) ** 2;
    }
    divergence += klDivergence(z, zq);
    if (argmax(z) === argmax(zq)) hits.agreement++;
    if (labels) {
      const floatPlace = placeOf(z, labels[image] as number);
      const place = placeOf(zq, labels[image] as number);
      if (floatPlace < 1) hits.floatTop1++;
      if (floatPlace < 5) hits.floatTop5++;
      if (place < 1) hits.top1++;
      if (place < 5) hits.top5++;
    }
  }
  const share = (count: number) => (labels ? count / images : null);
  return {
    images,
    top1: share(hits.top1),
    top5: share(hits.top5),
    floatTop1: share(hits.floatTop1),
    floatTop5: share(hits.floatTop5),
    agreement: hits.agreement / images,
    topOneDropPoints: share(100 * (hits.floatTop1 - hits.top1)),
    klDivergence: divergence / images,
    logitSqnrDb: error === 0 ? null : 10 * Math.log10(power / error),
  };
}

function checkTables(float: LogitTable, quantized: LogitTable, labels: readonly number[] | null): number {
  const { classes } = float;
  const images = float.logits.length / classes;
  if (quantized.classes !== classes || quantized.logits.length !== float.logits.length) {
    throw new RangeError(
      `logits of ${float.logits.length} x ${classes} classes cannot be compared with ${quantized.logits.length} x ${quantized.classes}`,
    );
  }
  if (!Number.isInteger(images) || images < 1) {
    throw new RangeError(`${float.logits.length} logits of ${classes} classes are not a whole number of images`);
  }
  if (labels && labels.length !== images) throw new RangeError(`${labels.length} labels for ${images} images`);
  labels?.forEach((label, image) => {
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new RangeError(`label ${label} of image ${image} is outside 0..${classes - 1}`);
    }
  });
  checkFinite(float, 'float');
  checkFinite(quantized, 'quantized');
  return images;
}

function checkFinite({ logits, classes }: LogitTable, network: string): void {
  const bad = logits.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new RangeError(
      `the ${network} network gave ${logits[bad]} for class ${bad % classes} of image ${Math.floor(bad / classes)}`,
    );
  }
}
