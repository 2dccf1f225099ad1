import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { twinshift } from '../support/command.ts';
import { writeImages, writeModel } from '../support/tinyModel.ts';

let folder: string;
let model: string;
let eight: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'twinshift-images-'));
  model = writeModel(join(folder, 'model'));
  eight = await writeImages(join(folder, 'eight'), 8);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of the folder of eight images. */
function copy(name: string): string {
  const images = join(folder, name);
  cpSync(eight, images, { recursive: true });
  return images;
}

function quantize(images: string, ...flags: string[]) {
  const out = join(folder, `out-${images.split('/').at(-1)}-${flags.join('')}`);
  return twinshift(['quantize', model, '--images', images, '--out', out, '--json', ...flags]);
}

interface Report {
  images: number;
  ignoredFiles: number;
  skippedImages: string[];
}

async function refusal(outcome: ReturnType<typeof twinshift>): Promise<string> {
  const { code, stdout, stderr } = await outcome;
  expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
  return stderr;
}

test('a missing or empty folder, and one without images, is refused by name', async () => {
  const none = join(folder, 'none');
  expect(await refusal(quantize(none))).toContain(`${none}: the folder does not exist`);
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  expect(await refusal(quantize(empty))).toContain(`${empty}: no image among its 0 files`);
  writeFileSync(join(empty, 'notes.txt'), 'x');
  expect(await refusal(quantize(empty))).toContain(`${empty}: no image among its 1 files`);
  expect(await refusal(twinshift(['evaluate', model, '--images', empty]))).toContain('no image among its 1 files');
  expect(await refusal(quantize(join(model, 'config.json')))).toContain('not a folder');
});

test('fewer images than asked for is an error with both numbers, by default too', async () => {
  expect(await refusal(quantize(eight))).toContain('has 8 images, 32 are asked for; add images or give --count 8');
  expect(await refusal(quantize(eight, '--count', '9'))).toContain('has 8 images, 9 are asked for');
});

test('other files are ignored and counted, endings count in any case', async () => {
  const images = copy('mixed');
  writeFileSync(join(images, 'readme.txt'), 'x');
  writeFileSync(join(images, 'movie.mp4'), 'x');
  mkdirSync(join(images, 'more.png'));
  cpSync(join(images, '000.png'), join(images, 'UPPER.PNG'));
  const { code, stdout, stderr } = await quantize(images, '--count', '9');
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout) as Report).toMatchObject({ images: 9, ignoredFiles: 2, skippedImages: [] });
});

test.each<[string, (bytes: Buffer) => Uint8Array, RegExp]>([
  ['text', () => Buffer.from('this is no picture'), /not a JPEG, PNG or WebP image/],
  ['nothing', () => new Uint8Array(), /empty/],
  ['half a picture', (bytes) => bytes.subarray(0, bytes.length / 2), /cannot be decoded/],
])('an image file that holds %s is named, and skipped only on request', async (what, spoil, why) => {
  const images = copy(`bad ${what}`);
  const bad = join(images, '003.png');
  writeFileSync(bad, spoil(readFileSync(bad)));
  const refused = await refusal(quantize(images, '--count', '8'));
  expect(refused).toContain(`twinshift: ${bad}: `);
  expect(refused).toMatch(why);
  expect(await refusal(twinshift(['evaluate', model, '--images', images]))).toContain(bad);

  const { code, stdout, stderr } = await quantize(images, '--count', '8', '--skip-bad-images');
  expect(code, stderr).toBe(0);
  expect(stderr).toContain(`twinshift: skipped: ${bad}: `);
  expect(JSON.parse(stdout) as Report).toMatchObject({ images: 7, skippedImages: ['003.png'] });
  const evaluated = await twinshift(['evaluate', model, '--images', images, '--skip-bad-images', '--json']);
  expect(evaluated.stderr).toContain(`twinshift: skipped: ${bad}: `);
  expect(JSON.parse(evaluated.stdout) as Report).toMatchObject({ images: 7 });
});

test('the place of a skipped image is taken by another of the folder', async () => {
  const images = copy('replaced');
  writeFileSync(join(images, '000.png'), 'x');
  writeFileSync(join(images, '001.png'), 'x');
  const { code, stdout, stderr } = await quantize(images, '--count', '6', '--skip-bad-images');
  expect(code, stderr).toBe(0);
  expect((JSON.parse(stdout) as Report).images).toBe(6);
});

test('a folder of bad images only is an error even when they are skipped', async () => {
  const images = join(folder, 'all bad');
  mkdirSync(images);
  writeFileSync(join(images, 'a.png'), 'x');
  expect(await refusal(quantize(images, '--count', '1', '--skip-bad-images'))).toContain(
    `${images}: none of its 1 image can be read`,
  );
  expect(await refusal(twinshift(['evaluate', model, '--images', images, '--skip-bad-images']))).toContain(
    'none of its',
  );
});

test('grey, transparent, CMYK, rotated and WebP images are images', async () => {
  const images = join(folder, 'kinds');
  mkdirSync(images);
  const source = sharp(join(eight, '000.png'));
  await source.clone().greyscale().toFile(join(images, 'grey.png'));
  await source.clone().ensureAlpha(0.5).toFile(join(images, 'alpha.png'));
  await source.clone().toColourspace('cmyk').jpeg().toFile(join(images, 'cmyk.jpg'));
  await source.clone().withMetadata({ orientation: 6 }).jpeg().toFile(join(images, 'rotated.jpeg'));
  await source.clone().webp({ lossless: true }).toFile(join(images, 'web.webp'));
  const { code, stdout, stderr } = await quantize(images, '--count', '5');
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout) as Report).toMatchObject({ images: 5, ignoredFiles: 0, skippedImages: [] });
});

test.each<[string, string, RegExp]>([
  [
    'out of range',
    'file,label\n000.png,10\n',
    /labels\.csv: line 2: label "10" of "000\.png" is not an integer from 0 to 9/,
  ],
  ['negative', 'file,label\n000.png,-1\n', /label "-1"/],
  ['without its header', '000.png,1\n', /the header must be "file,label"/],
  ['incomplete', 'file,label\n000.png,1\n', /no label for the image "001\.png" and 6 more/],
])('a label file that is %s is refused', async (name, text, message) => {
  const images = copy(`labels ${name}`);
  writeFileSync(join(images, 'labels.csv'), text);
  expect(await refusal(twinshift(['evaluate', model, '--images', images]))).toMatch(message);
});

test('a label file that was named must be there', async () => {
  const labels = join(folder, 'no.csv');
  expect(await refusal(twinshift(['evaluate', model, '--images', eight, '--labels', labels]))).toContain(
    `${labels} does not exist`,
  );
});
