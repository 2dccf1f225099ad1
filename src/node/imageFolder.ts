import { join } from 'node:path';
import { FormatError } from '../io/errors.ts';
import { parseLabels } from '../io/labels.ts';
import { listImages } from '../io/listImages.ts';
import { exists, readInputFile } from './inputFile.ts';

/** The images of a folder by their names. */
export interface ImageFolder {
  readonly path: string;
  /** In byte order of the names as UTF-8. */
  readonly names: readonly string[];
  /** Other files of the folder. */
  readonly ignored: number;
}

/**
 * Lists the images of a folder: files whose name ends in .jpg, .jpeg, .png or .webp, in any case. Folders in it are not entered.
 *
 * @throws FormatError when the folder is missing, unreadable or holds no image
 */
export async function listImageFolder(path: string): Promise<ImageFolder> {
  const { files, ignored } = await listImages(path);
  return { path, names: files, ignored };
}

/**
 * The class of every image of a folder, from a CSV file with the columns `file,label`. Rows of other files are ignored.
 *
 * @param file the CSV; `labels.csv` in the folder when undefined
 * @returns null when no file is given and the folder has none
 * @throws InputError when the given file is missing or unreadable
 * @throws FormatError for a malformed line, a label outside `0..numClasses - 1` or an image without a label
 */
export async function loadLabels(
  folder: ImageFolder,
  file: string | undefined,
  numClasses: number,
): Promise<ReadonlyMap<string, number> | null> {
  const path = file ?? join(folder.path, 'labels.csv');
  if (file === undefined && !(await exists(path))) return null;
  const labels = parseLabels(await readInputFile(path), path, { numClasses });
  const missing = folder.names.filter((name) => !labels.has(name));
  if (missing.length > 0) {
    throw new FormatError(
      `${path}: no label for the image ${JSON.stringify(missing[0])}${missing.length > 1 ? ` and ${missing.length - 1} more` : ''}. ` +
        'Add a line for each image.',
    );
  }
  return labels;
}
