import type { CalibrationImage, CalibrationOptions, ImageFolder } from '../node.ts';
import { UsageError } from './errors.ts';

/**
 * Classes of the images, where the gradient needs them.
 *
 * @throws UsageError when it needs them and there are none
 */
export async function labelsOf(
  folder: ImageFolder | undefined,
  file: string | undefined,
  { gradientSeed }: CalibrationOptions,
  numClasses: number,
): Promise<ReadonlyMap<string, number> | null> {
  if (gradientSeed !== 'label') return null;
  const node = await import('../node.ts');
  if (!folder) {
    throw new UsageError(
      'synthetic images have no labels, which --gradient-seed label needs; take fisher, or photographs',
    );
  }
  const labels = await node.loadLabels(folder, file, numClasses);
  if (!labels) {
    throw new UsageError(
      `${folder.path} has no labels.csv, which --gradient-seed label needs; give --labels <file>, or take fisher`,
    );
  }
  return labels;
}

/** The image with its class. */
export function labelled(image: CalibrationImage, labels: ReadonlyMap<string, number>): CalibrationImage {
  return { ...image, label: labels.get(image.file) as number };
}
