import { accuracy } from './accuracy.ts';
import { klDivergence } from './divergence.ts';
import type { LogitTable } from './logitTable.ts';
import { argmax } from './rank.ts';

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
  const images = checkTables(float, quantized);
  const classes = float.classes;
  let agreed = 0;
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
    if (argmax(z) === argmax(zq)) agreed++;
  }
  const floatAccuracy = labels && accuracy(float, labels);
  const ownAccuracy = labels && accuracy(quantized, labels);
  return {
    images,
    top1: ownAccuracy?.top1 ?? null,
    top5: ownAccuracy?.top5 ?? null,
    floatTop1: floatAccuracy?.top1 ?? null,
    floatTop5: floatAccuracy?.top5 ?? null,
    agreement: agreed / images,
    topOneDropPoints: floatAccuracy && ownAccuracy ? 100 * (floatAccuracy.top1 - ownAccuracy.top1) : null,
    klDivergence: divergence / images,
    logitSqnrDb: error === 0 ? null : 10 * Math.log10(power / error),
  };
}

function checkTables(float: LogitTable, quantized: LogitTable): number {
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
