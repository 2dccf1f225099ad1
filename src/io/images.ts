/** A decoded picture and what is common to its decoders in Node (decodeNode.ts) and in the browser (decodeBrowser.ts). */
import { FormatError } from './errors.ts';

/** 8-bit RGB, interleaved `[height, width, 3]`, as `PIL.Image.open(file).convert('RGB')` gives it. */
export interface DecodedImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Decodes one file's bytes; `file` names it in the FormatError that anything but a whole JPEG, PNG or WebP gives. */
export type DecodeImage = (bytes: Uint8Array, file: string) => Promise<DecodedImage>;

export type ImageFormat = 'jpeg' | 'png' | 'webp';

/**
 * The format by the first bytes, whatever the file's name says.
 *
 * Throws FormatError for anything else (a decoder would also open SVG, PDF or GIF), and for a 16-bit greyscale PNG
 * without alpha, which Pillow turns into a white picture by clipping at 255 instead of scaling.
 */
export function imageFormat(bytes: Uint8Array, file: string): ImageFormat {
  const starts = (text: string, at = 0) => [...text].every((char, i) => bytes[at + i] === char.charCodeAt(0));
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (starts('RIFF') && starts('WEBP', 8)) return 'webp';
  if (starts('\x89PNG\r\n\x1a\n')) {
    const depth = bytes[24];
    const colourType = bytes[25];
    if (depth === 16 && colourType === 0) {
      throw new FormatError(
        `${file}: a PNG of 16-bit greyscale, which Pillow and so the reference preprocessing clips to white. Convert it to 8 bits.`,
      );
    }
    return 'png';
  }
  if (bytes.length === 0) throw new FormatError(`${file}: the file is empty. Remove it or download it again.`);
  const first = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  throw new FormatError(`${file}: not a JPEG, PNG or WebP image (its first bytes are ${first}). Convert or remove it.`);
}

/** The first three of `channels` interleaved channels: alpha is dropped, not composited, as Pillow does. */
export function keepRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data;
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    rgb[i * 3] = data[i * channels] as number;
    rgb[i * 3 + 1] = data[i * channels + 1] as number;
    rgb[i * 3 + 2] = data[i * channels + 2] as number;
  }
  return rgb;
}

/** Interleaved CMYK to RGB by Pillow's plain formula, `255 - k - c (255 - k) / 255` with its rounding. */
export function cmykToRgb(data: Uint8Array): Uint8Array {
  const pixels = data.length / 4;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const light = 255 - (data[i * 4 + 3] as number);
    for (let c = 0; c < 3; c++) {
      const product = (data[i * 4 + c] as number) * light + 128;
      rgb[i * 3 + c] = light - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}
