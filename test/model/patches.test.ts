import { expect, test } from 'vitest';
import { patchCodes, unfoldPatches } from '../../src/model/patches.ts';

const config = { imageSize: 4, patchSize: 2 };

test('a patch is a row: channel, then y, then x; patches row by row', () => {
  const planar = Float32Array.from({ length: 48 }, (_, i) => i); // value = 16 c + 4 y + x
  const rows = unfoldPatches(planar, config);
  expect([...rows.subarray(0, 12)]).toEqual([0, 1, 4, 5, 16, 17, 20, 21, 32, 33, 36, 37]);
  expect([...rows.subarray(12, 16)]).toEqual([2, 3, 6, 7]);
  expect([...rows.subarray(24, 28)]).toEqual([8, 9, 12, 13]);
  expect([...rows.subarray(36, 40)]).toEqual([10, 11, 14, 15]);
});

test('codes are pixel - 128 in the same order', () => {
  const rgb = Uint8Array.from({ length: 48 }, (_, i) => (i * 37) % 256);
  rgb[0] = 0;
  rgb[1] = 255;
  const planar = Float32Array.from({ length: 48 }, (_, i) => (rgb[3 * (i % 16) + Math.floor(i / 16)] as number) - 128);
  const codes = patchCodes(rgb, config);
  expect([...codes]).toEqual([...unfoldPatches(planar, config)]);
  expect([codes[0], codes[4]]).toEqual([-128, 127]);
});

test('refuses an image of another size', () => {
  expect(() => unfoldPatches(new Float32Array(47), config)).toThrow('an image of 4 x 4 has 48 values, got 47');
  expect(() => patchCodes(new Uint8Array(49), config)).toThrow('an image of 4 x 4 has 48 values, got 49');
});
