/** Decoding in Node by sharp, equal in every byte to Pillow's `Image.open(file).convert('RGB')`. */
import sharp from 'sharp';
import { FormatError } from './errors.ts';
import { cmykToRgb, imageFormat, keepRgb, type DecodedImage } from './images.ts';

/**
 * One JPEG, PNG or WebP file as 8-bit RGB: no colour management, no EXIF rotation, grey replicated, alpha dropped,
 * palettes looked up, CMYK by the plain formula, the first frame of an animation.
 *
 * Throws FormatError naming `file` when the bytes are no such image, damaged or cut short.
 */
export async function decodeImage(bytes: Uint8Array, file: string): Promise<DecodedImage> {
  imageFormat(bytes, file);
  try {
    const image = sharp(bytes, { ignoreIcc: true, failOn: 'error' });
    const isCmyk = (await image.metadata()).space === 'cmyk';
    // Both spaces: else sharp would go through its own CMYK profile on the way in or out.
    const unconverted = isCmyk ? image.pipelineColourspace('cmyk').toColourspace('cmyk') : image;
    const { data, info } = await unconverted.raw().toBuffer({ resolveWithObject: true });
    const rgb = isCmyk ? cmykToRgb(data) : keepRgb(data, info.channels);
    return { width: info.width, height: info.height, data: rgb };
  } catch (cause) {
    const reason = (cause as Error).message.trim().split('\n')[0];
    throw new FormatError(`${file}: the image cannot be decoded (${reason}). Replace or remove it.`, { cause });
  }
}
