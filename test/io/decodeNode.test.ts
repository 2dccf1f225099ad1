import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/io/decodeNode.ts';
import { FormatError } from '../../src/io/errors.ts';
import { cmykToRgb, imageFormat } from '../../src/io/images.ts';
import { goldenCases, goldenImage } from '../support/ioGolden.ts';

describe('every pixel is the one Pillow gives', () => {
  const { cases, take, left } = goldenCases<{ file: string; width: number; height: number }>('images');
  const expected = cases.map((golden) => ({ ...golden, data: take(golden.width * golden.height * 3) }));
  test('the golden is whole', () => {
    expect(expected.length).toBe(37);
    expect(left()).toBe(0);
  });
  test.each(expected)('$file', async ({ file, width, height, data }) => {
    const image = await decodeImage(goldenImage(file), file);
    expect([image.width, image.height, image.data.length]).toEqual([width, height, width * height * 3]);
    expect(Buffer.compare(image.data, data)).toBe(0);
  });
});

describe('what is no whole image is refused with its name', () => {
  const refused = async (bytes: Uint8Array, message: RegExp) => {
    const error = await decodeImage(bytes, 'a/b.png').then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toMatch(message);
    expect((error as FormatError).message).toMatch(/^a\/b\.png: [^\n]*$/);
  };

  test('no bytes', () => refused(new Uint8Array(0), /the file is empty/));
  test('text', () => refused(new TextEncoder().encode('file,label\n'), /not a JPEG, PNG or WebP image .* 66 69 6c 65/));
  test('a vector drawing, which the decoder could draw', () =>
    refused(new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"/>'), /not a JPEG/));
  test('a GIF', () => refused(new TextEncoder().encode('GIF89a'), /not a JPEG/));
  test('three bytes of JPEG', () => refused(Uint8Array.of(0xff, 0xd8, 0xff), /cannot be decoded/));
  test('the signature of PNG alone', () => refused(goldenImage('rgb.png').subarray(0, 8), /cannot be decoded/));
  test.each(['420.jpg', 'progressive.jpg', 'cmyk.jpg', 'rgb.png', 'palette.png', 'lossy.webp', 'lossless.webp'])(
    'two thirds of %s',
    (name) => {
      const bytes = goldenImage(name);
      return refused(bytes.subarray(0, Math.floor((bytes.length * 2) / 3)), /cannot be decoded/);
    },
  );
  test('a damaged byte in the data of a PNG', () => {
    const bytes = Uint8Array.from(goldenImage('rgb.png'));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    return refused(bytes, /cannot be decoded/);
  });
  test('16-bit greyscale, which Pillow clips to white', () =>
    refused(goldenImage('grey16.png'), /16-bit greyscale.*8 bits/));
});

test('bytes after the image are ignored, as Pillow does', async () => {
  const bytes = goldenImage('420.jpg');
  const longer = new Uint8Array(bytes.length + 100).fill(0xa5);
  longer.set(bytes);
  expect((await decodeImage(longer, 'x')).data).toEqual((await decodeImage(bytes, 'x')).data);
});

test('the format is read from the bytes alone', () => {
  expect(imageFormat(goldenImage('420.jpg'), 'x.png')).toBe('jpeg');
  expect(imageFormat(goldenImage('alpha.png'), 'x')).toBe('png');
  expect(imageFormat(goldenImage('lossy.webp'), 'x')).toBe('webp');
  expect(() => imageFormat(new TextEncoder().encode('RIFF....WAVE'), 'x')).toThrow(FormatError);
});

test('CMYK is multiplied out with rounding to nearest', () => {
  const inks = Uint8Array.of(0, 0, 0, 0, 255, 0, 128, 0, 1, 2, 254, 100, 9, 9, 9, 255);
  expect([...cmykToRgb(inks)]).toEqual([255, 255, 255, 0, 255, 127, 154, 154, 1, 0, 0, 0]);
});
