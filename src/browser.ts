/** The library in a browser: the public library, and what reads pictures with the decoders of a browser, loaded when it is called. */
import type { DecodeImage } from './io/images.ts';
import type * as reading from './io/readImage.ts';

export * from './index.ts';

/** The pixels of a JPEG, PNG or WebP file: `decodeImage` of io/decodeBrowser.ts. */
export const decodeImage: DecodeImage = async (...job) => {
  return (await import('./io/decodeBrowser.ts')).decodeImage(...job);
};

/** An image to calibrate with, from the bytes of its file: `readImage` of io/readImage.ts. */
export const readImage: typeof reading.readImage = async (...job) => {
  return (await import('./io/readImage.ts')).readImage(...job);
};
