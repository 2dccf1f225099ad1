import type { LogitTable } from './logitTable.ts';
import { placeOf } from './rank.ts';

/** Fractions of the images whose label is the first, or among the first five, of a network. */
export interface Accuracy {
  readonly top1: number;
  readonly top5: number;
}

/**
 * How often the labels come first. Equal logits rank by class index.
 *
 * @throws RangeError when there is no image, sizes disagree, or a label is outside `0..classes - 1`
 */
export function accuracy({ logits, classes }: LogitTable, labels: readonly number[]): Accuracy {
  const images = logits.length / classes;
  if (images < 1 || labels.length !== images) throw new RangeError(`${labels.length} labels for ${images} images`);
  const hits = { top1: 0, top5: 0 };
  labels.forEach((label, image) => {
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new RangeError(`label ${label} of image ${image} is outside 0..${classes - 1}`);
    }
    const place = placeOf(logits.subarray(image * classes, (image + 1) * classes), label);
    if (place < 1) hits.top1++;
    if (place < 5) hits.top5++;
  });
  return { top1: hits.top1 / images, top5: hits.top5 / images };
}
