import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/io/decodeNode.ts';
import {
  cropOffset,
  normalizePixels,
  preprocess,
  resizedSize,
  timmResizeSize,
  type Preprocessing,
} from '../../src/io/preprocess.ts';
import { readF32 } from '../../src/io/readTensor.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { dataDirectory } from '../support/data.ts';
import { firstDifference, goldenCases, goldenImage } from '../support/ioGolden.ts';

const imageNet: Preprocessing = {
  width: 224,
  height: 224,
  resizeShortestEdge: timmResizeSize(224, 0.9),
  interpolation: 'bicubic',
  cropRounding: 'half-even',
  rescale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

interface Golden extends Pick<Preprocessing, 'width' | 'height' | 'interpolation' | 'cropRounding'> {
  readonly file: string;
  readonly edge: number | [number, number];
}

describe('every byte is the one Pillow and the published crop rules give', () => {
  const { cases, take, left } = goldenCases<Golden>('preprocess');
  const all = cases.map((golden) => ({ ...golden, expected: Uint8Array.from(take(golden.width * golden.height * 3)) }));
  test('the golden is whole', () => {
    expect(all.length).toBe(40);
    expect(left()).toBe(0);
  });
  test.each(all)(
    '$file $edge $width x $height $interpolation $cropRounding',
    async ({ file, edge, expected, ...golden }) => {
      const image = await decodeImage(goldenImage(file), file);
      const resizeShortestEdge = typeof edge === 'number' ? edge : { width: edge[0], height: edge[1] };
      expect(firstDifference(preprocess(image, { ...imageNet, ...golden, resizeShortestEdge }), expected)).toBe(-1);
    },
  );
});

test('crop offsets round half to even in torchvision and down in Hugging Face processors', () => {
  const margins = [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7];
  expect(margins.map((margin) => cropOffset(100 + margin, 100, 'half-even'))).toEqual([
    -2, -2, -1, -1, 0, 0, 0, 1, 2, 2, 2, 3, 4,
  ]);
  expect(margins.map((margin) => cropOffset(100 + margin, 100, 'floor'))).toEqual([
    -3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3, 3,
  ]);
});

test('the long side is truncated, the short side is the size asked for', () => {
  expect(timmResizeSize(224, 0.9)).toBe(248);
  expect(timmResizeSize(224, 0.875)).toBe(256);
  expect(timmResizeSize(64, 1)).toBe(64);
  expect(resizedSize({ width: 500, height: 375 }, 248)).toEqual({ width: 330, height: 248 });
  expect(resizedSize({ width: 375, height: 500 }, 248)).toEqual({ width: 248, height: 330 });
  expect(resizedSize({ width: 248, height: 999 }, 248)).toEqual({ width: 248, height: 999 });
  expect(resizedSize({ width: 5, height: 9 }, { width: 31, height: 22 })).toEqual({ width: 31, height: 22 });
});

test('pixels are normalised in f32 steps into planes', () => {
  const rgb = Uint8Array.from({ length: 3 * 256 }, (_, i) => (i % 3 === 0 ? i / 3 : (i * 89) % 256));
  const planes = normalizePixels(rgb, imageNet);
  const f = Math.fround;
  rgb.forEach((value, i) => {
    const c = i % 3;
    const expected = f(f(f(value / 255) - f(imageNet.mean[c]!)) / f(imageNet.std[c]!));
    expect(planes[c * 256 + Math.floor(i / 3)]).toBe(expected);
  });
  expect(planes.length).toBe(768);
});

const data = dataDirectory();
if (data !== undefined) {
  test('two real photos equal the pixels that timm made of them, in every bit', async () => {
    const golden = readFileSync(join(data, 'deit-tiny-patch16-224', 'golden.safetensors'));
    const expected = readF32(parseSafetensors(golden, 'golden.safetensors').tensors.get('calib.pixels.first2')!);
    const folder = join(data, 'imagenet-sample', 'calib');
    const names = readFileSync(join(folder, 'labels.csv'), 'utf8').split('\n').slice(1, 3);
    const length = 3 * 224 * 224;
    for (const [i, line] of names.entries()) {
      const name = line.split(',')[0]!;
      const image = await decodeImage(readFileSync(join(folder, name)), name);
      const planes = normalizePixels(preprocess(image, imageNet), imageNet);
      expect(firstDifference(planes, expected.subarray(i * length, (i + 1) * length))).toBe(-1);
    }
  });
}
