import { decodeImage } from './decodeBrowser.ts';
import { preprocess, type Preprocessing } from './preprocess.ts';
import { sha256 } from './sha256.ts';

/** An image of a calibration. */
export interface ImageOfFile {
  readonly file: string;
  /** Lowercase hexadecimal SHA-256 of the file. */
  readonly sha256: string;
  /** uint8 `[height, width, 3]` */
  readonly rgb: Uint8Array;
}

/** The bytes of one image file, decoded by the browser and preprocessed. Throws as `decodeImage` of decodeBrowser.ts. */
export async function readImage(bytes: Uint8Array, file: string, preprocessing: Preprocessing): Promise<ImageOfFile> {
  const rgb = preprocess(await decodeImage(bytes, file), preprocessing);
  return { file, sha256: await sha256(bytes), rgb };
}
