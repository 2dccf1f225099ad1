import { expect, test } from 'vitest';
import { augmented } from '../../src/calibrate/augment.ts';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { loadFrom, tinyVit } from '../support/checkpoints.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';

const shared = useGpu();
const config = tinyVit({ depth: 1 });
const side = config.imageSize;
const images = Array.from({ length: 2 }, (_, i) => ({
  ...{ file: `${i}.png`, sha256: String(i).repeat(64) },
  rgb: Uint8Array.from(noise(3 * side ** 2, i + 1, 127), (value) => value + 128),
}));

/** The picture row by row, each row's pixels in reverse order. */
function reversedRows(rgb: Uint8Array): Uint8Array {
  const rows = Array.from({ length: side }, (_, y) => rgb.subarray(3 * side * y, 3 * side * (y + 1)));
  const pixels = (row: Uint8Array) => Array.from({ length: side }, (_, x) => [...row.subarray(3 * x, 3 * x + 3)]);
  return Uint8Array.from(rows.flatMap((row) => pixels(row).reverse().flat()));
}

test('mirrored images follow those given', () => {
  const model = { config };
  expect(augmented(images, { augmentation: 'none' }, model)).toBe(images);
  const all = augmented(images, { augmentation: 'mirror' }, model);
  expect(all.slice(0, 2)).toEqual(images);
  expect(all.slice(2)).toEqual(images.map((image) => ({ ...image, rgb: reversedRows(image.rgb) })));
});

test('calibrating with mirrored images is calibrating on both, and names those given', async () => {
  const model = await loadFrom(config, 'timm');
  const mirror = calibrationOptions('fast', { augmentation: 'mirror' });
  const { recipe } = await calibrate(shared.gpu, model, images, mirror);
  const both = [...images, ...images.map((image) => ({ ...image, rgb: reversedRows(image.rgb) }))];
  const explicit = await calibrate(shared.gpu, model, both, calibrationOptions('fast'));
  const plain = await calibrate(shared.gpu, model, images, calibrationOptions('fast'));
  expect(recipe.images.map(({ file }) => file)).toEqual(['0.png', '1.png']);
  expect(recipe.layers).toEqual(explicit.recipe.layers);
  expect(recipe.integer).toEqual(explicit.recipe.integer);
  expect(recipe.layers).not.toEqual(plain.recipe.layers);
});
