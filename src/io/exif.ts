/** What a browser must be kept from seeing in a file, and what it need not notice. */
import type { ImageFormat } from './images.ts';

const exifInJpeg = [0x45, 0x78, 0x69, 0x66, 0, 0]; // "Exif", 0, 0

/**
 * The same picture without its EXIF data: browsers rotate by them even when told `imageOrientation: 'none'`, Pillow does
 * not. `bytes` are what `imageFormat` took for `format`; the result is a copy, its pixels untouched.
 */
export function withoutExif(bytes: Uint8Array, format: ImageFormat): Uint8Array<ArrayBuffer> {
  if (format === 'jpeg') {
    const copy = new Uint8Array(bytes);
    walkJpeg(bytes, (marker, start) => {
      // An APP1 segment of an unknown kind is passed over by every decoder.
      if (marker === 0xe1 && exifInJpeg.every((byte, i) => bytes[start + 2 + i] === byte)) copy[start + 2] = 0;
    });
    return copy;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Uint8Array[] = [];
  let position = format === 'png' ? 8 : 12;
  kept.push(bytes.subarray(0, position));
  while (position + 8 <= bytes.length) {
    const length = format === 'png' ? view.getUint32(position) : view.getUint32(position + 4, true);
    const name = view.getUint32(position + (format === 'png' ? 4 : 0));
    const next = Math.min(bytes.length, position + (format === 'png' ? length + 12 : length + 8 + (length % 2)));
    if (name !== 0x65584966 && name !== 0x45584946) kept.push(bytes.subarray(position, next)); // "eXIf", "EXIF"
    position = next;
  }
  kept.push(bytes.subarray(position));
  const result = new Uint8Array(kept.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of kept) {
    result.set(part, end);
    end += part.length;
  }
  if (format === 'webp') {
    const view = new DataView(result.buffer);
    view.setUint32(4, view.getUint32(4, true) - (bytes.length - result.length), true);
  }
  return result;
}

/**
 * Whether a JPEG's data reach its end marker. Chromium refuses a cut file by itself; the HTML standard lets a browser show
 * the part that is there, so the refusal does not depend on it.
 */
export function isWholeJpeg(bytes: Uint8Array): boolean {
  return walkJpeg(bytes, () => undefined);
}

/** Calls `visit` with each marker and the place of its segment's length; true when the end marker was reached. */
function walkJpeg(bytes: Uint8Array, visit: (marker: number, start: number) => void): boolean {
  let position = 2;
  while (position + 1 < bytes.length) {
    const marker = bytes[position + 1] as number;
    // Inside a scan: data, a stuffed 0xff00, a restart marker; anywhere: fill bytes.
    if (bytes[position] !== 0xff || marker === 0xff || marker === 0 || (marker >= 0xd0 && marker <= 0xd7)) {
      position++;
      continue;
    }
    if (marker === 0xd9) return true;
    visit(marker, position + 2);
    position += 2 + ((bytes[position + 2] ?? 0) << 8) + (bytes[position + 3] ?? 0);
  }
  return false;
}
