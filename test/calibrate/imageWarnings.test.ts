import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { imageWarnings, LEAST_PHOTOGRAPHIC, rangeShift } from '../../src/calibrate/imageWarnings.ts';
import { photographicShare } from '../../src/calibrate/photographicShare.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { deadLeaves } from '../../src/calibrate/syntheticImages.ts';
import { listImages } from '../../src/io/listImages.ts';
import type { Model } from '../../src/model/load.ts';
import { loadImage } from '../../src/node/loadImage.ts';
import { dataDirectory } from '../support/data.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const shared = useGpu();
let model: Model;
beforeAll(async () => {
  model = await sampleModel();
});

interface Shape {
  readonly imageSize: number;
  readonly patchSize: number;
}
const SMALL: Shape = { imageSize: 64, patchSize: 8 };
const LARGE: Shape = { imageSize: 224, patchSize: 16 };

const drawn = (rgb: Uint8Array, i: number): CalibrationImage => ({
  file: `drawn-${i}`,
  sha256: String(i).repeat(64),
  rgb,
});

const makers: Record<string, (size: number, seed: number) => Uint8Array> = {
  'white noise': (size, seed) => Uint8Array.from(noise(3 * size * size, seed + 1, 127), (v) => Math.round(v + 127.5)),
  'single colours': (size, seed) => new Uint8Array(3 * size * size).fill(40 * seed + 10),
  'line drawings': lineDrawing,
};

/** Ten black strokes on white. */
function lineDrawing(size: number, seed: number): Uint8Array {
  const rgb = new Uint8Array(3 * size * size).fill(255);
  const ends = noise(40, seed + 1, 0.5);
  const thickness = Math.max(1, Math.round(size / 112));
  for (let stroke = 0; stroke < 10; stroke++) {
    const [x0, y0, x1, y1] = ends
      .subarray(4 * stroke, 4 * stroke + 4)
      .map((v) => (v + 0.5) * (size - thickness)) as unknown as number[];
    for (let i = 0; i <= 2 * size; i++) {
      const along = i / (2 * size);
      const x = Math.floor((x0 as number) + along * ((x1 as number) - (x0 as number)));
      const y = Math.floor((y0 as number) + along * ((y1 as number) - (y0 as number)));
      for (let down = 0; down < thickness; down++) {
        rgb.fill(0, 3 * ((y + down) * size + x), 3 * ((y + down) * size + x + thickness));
      }
    }
  }
  return rgb;
}

test.each(Object.entries(makers))('%s have few photographic patches at any size', (_name, make) => {
  for (const shape of [SMALL, LARGE]) {
    const images = [0, 1, 2, 3].map((seed) => ({ rgb: make(shape.imageSize, seed) }));
    expect(photographicShare(images, shape)).toBeLessThan(0.85 * LEAST_PHOTOGRAPHIC);
  }
});

test('the images of the sample and drawn scenes have enough', async () => {
  expect(photographicShare(await sampleImages(model, 'calib', 32), SMALL)).toBeGreaterThan(1.1 * LEAST_PHOTOGRAPHIC);
  for (const shape of [SMALL, LARGE]) {
    const scenes = [0, 1, 2, 3].map((i) => ({ rgb: deadLeaves(shape.imageSize, [0, i]) }));
    expect(photographicShare(scenes, shape)).toBeGreaterThan(1.1 * LEAST_PHOTOGRAPHIC);
  }
});

const photos = join(dataDirectory() ?? '', 'imagenet-sample', 'calib');
if (existsSync(photos) && dataDirectory() !== undefined) {
  test('photographs have enough, small ones too', async () => {
    const { files } = await listImages(photos);
    const large = { ...model.config.preprocessing, width: 224, height: 224, resizeShortestEdge: 249 };
    for (const [shape, preprocessing, least] of [
      [LARGE, large, 0.9],
      [SMALL, model.config.preprocessing, 1.1 * LEAST_PHOTOGRAPHIC],
    ] as const) {
      const images = await Promise.all(files.slice(0, 32).map((file) => loadImage(photos, file, preprocessing)));
      expect(photographicShare(images, shape)).toBeGreaterThan(least);
    }
  });
}

test('a patch of one colour or of checkers is not photographic, a slope is', () => {
  const shape = { imageSize: 8, patchSize: 8 };
  const slope = (step: number) => Uint8Array.from({ length: 3 * 64 }, (_, i) => step * (Math.floor(i / 3) % 8));
  expect(photographicShare([{ rgb: slope(0) }], shape)).toBe(0);
  expect(photographicShare([{ rgb: slope(0.4) }], shape)).toBe(0);
  expect(photographicShare([{ rgb: slope(10) }], shape)).toBe(1);
  const checkers = Uint8Array.from({ length: 3 * 64 }, (_, i) => 200 * ((Math.floor(i / 3) + Math.floor(i / 24)) % 2));
  expect(photographicShare([{ rgb: checkers }], shape)).toBe(0);
  expect(photographicShare([{ rgb: checkers }, { rgb: slope(10) }], shape)).toBe(0.5);
});

test('a shift is a factor either way, and the farthest tensor is named', () => {
  expect(rangeShift({ a: 2, b: 3, c: 1, d: 0 }, { a: 1, b: 3, c: 5, d: 1 })).toEqual({
    median: 2,
    largest: 5,
    name: 'c',
  });
  expect(rangeShift({ a: 0 }, { a: 1 })).toEqual({ median: 1, largest: 1, name: 'none' });
});

test.each(Object.entries(makers))(
  '%s calibrate all the same, with a warning that names the shift',
  async (_name, make) => {
    const images = [drawn(make(64, 1), 1)];
    const options = calibrationOptions('fast', { candidates: 2 });
    const { recipe } = await calibrate(shared.gpu, model, images, options);
    for (const { score } of recipe.layers) expect(Number.isFinite(score)).toBe(true);
    const warnings = await imageWarnings(shared.gpu, model, images, recipe.integer.ranges);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /unlike photographs: \d+ % of their patches .*expected are 60 to 100 %.* by a factor of \d+\.\d in the median and \d+\.\d at [a-z]/,
    );
  },
);

test('photographs and drawn scenes make no warning', async () => {
  const images = await sampleImages(model, 'calib', 4);
  expect(await imageWarnings(shared.gpu, model, images, {})).toEqual([]);
});
