import sharp from 'sharp';
import { expect, test } from 'vitest';
import { decodeImage } from '../../src/io/decodeNode.ts';
import { isWholeJpeg, withoutExif } from '../../src/io/exif.ts';
import { imageFormat } from '../../src/io/images.ts';
import { goldenCases, goldenImage } from '../support/ioGolden.ts';

const names = goldenCases<{ file: string }>('images').cases.map(({ file }) => file);

test.each(names)('%s without EXIF has no orientation and the same pixels', async (name) => {
  const bytes = goldenImage(name);
  const before = Uint8Array.from(bytes);
  const stripped = withoutExif(bytes, imageFormat(bytes, name));
  expect((await sharp(bytes).metadata()).orientation).toBe(name.startsWith('exifRotated') ? 6 : undefined);
  expect((await sharp(stripped).metadata()).orientation).toBeUndefined();
  expect(await decodeImage(stripped, name)).toEqual(await decodeImage(bytes, name));
  expect(Buffer.compare(bytes, before)).toBe(0);
  if (!name.startsWith('exifRotated')) expect(Buffer.compare(stripped, bytes)).toBe(0);
});

test('a JPEG is whole up to its end marker and no shorter, an end marker inside a segment is none', () => {
  for (const name of names.filter((file) => /jpe?g$/i.test(file))) {
    const bytes = goldenImage(name);
    expect(isWholeJpeg(bytes)).toBe(true);
    for (let length = 0; length < bytes.length; length++) expect(isWholeJpeg(bytes.subarray(0, length))).toBe(false);
  }
  expect(isWholeJpeg(Uint8Array.of(0xff, 0xd8, 0xff, 0xfe, 0, 4, 0xff, 0xd9, 1, 2))).toBe(false);
});

test.each([
  ['png', 8],
  ['webp', 12],
] as const)('damaged lengths in a %s neither hang nor throw', (format, first) => {
  const whole = goldenImage(`exifRotated.${format}`);
  for (let length = first; length < whole.length; length++) {
    expect(withoutExif(whole.subarray(0, length), format).length).toBeLessThanOrEqual(length);
  }
  const damaged = Uint8Array.from(whole);
  damaged.fill(0xff, first + (format === 'png' ? 0 : 4), first + (format === 'png' ? 4 : 8));
  expect(Buffer.compare(withoutExif(damaged, format), damaged)).toBe(0);
});

test('chunks of odd length in a WebP are followed by a byte of padding, and the length of the whole is put right', () => {
  const text = (value: string) => [...value].map((character) => character.charCodeAt(0));
  const odd = [...text('ALPH'), 3, 0, 0, 0, 1, 2, 3, 0];
  const exif = [...text('EXIF'), 1, 0, 0, 0, 9, 0];
  const riff = (length: number, ...chunks: number[][]) =>
    Uint8Array.from([...text('RIFF'), length, 0, 0, 0, ...text('WEBP'), ...chunks.flat()]);
  expect(withoutExif(riff(38, odd, exif, odd), 'webp')).toEqual(riff(28, odd, odd));
});
