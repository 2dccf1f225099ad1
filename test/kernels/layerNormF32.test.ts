import { expect, test } from 'vitest';
import { layerNormF32 } from '../../src/kernels/layerNormF32.ts';
import { layerNormF32Reference } from '../../src/reference/layerNormF32.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();
const epsilon = 1e-6;

function run(x: Float32Array, gain: Float32Array, shift: Float32Array): Promise<Float32Array> {
  const features = gain.length;
  return runF32(shared, { x, gain, shift }, x.length, (buffers, y) =>
    layerNormF32(shared.device, { ...buffers, y }, { rows: x.length / features, features, epsilon }),
  );
}

test.each([
  [1, 1],
  [3, 4],
  [4, 3],
  [5, 255],
  [255, 5],
  [257, 3],
  [2, 257],
  [197, 192],
])('%i rows of %i features', async (rows, features) => {
  const x = noise(rows * features, 1, 3);
  const gain = noise(features, 2).map((v) => v + 1.5);
  const shift = noise(features, 3);
  expect(nmse(await run(x, gain, shift), layerNormF32Reference(x, gain, shift, epsilon))).toBeLessThan(1e-12);
});

test('a mean 100 times the deviation costs no more than its rounding; a constant row gives the shift', async () => {
  const features = 192;
  const x = noise(2 * features, 4).map((v, i) => (i < features ? v + 100 : 0.25));
  const gain = new Float32Array(features).fill(1);
  const shift = noise(features, 5);
  const y = await run(x, gain, shift);
  const expected = layerNormF32Reference(x, gain, shift, epsilon);
  expect(nmse(y.subarray(0, features), expected.subarray(0, features))).toBeLessThan(1e-9);
  expect(y.subarray(features)).toEqual(shift);
});

test('one outlier of 580 in a row of deviation 5, as in trained models', async () => {
  const x = noise(192, 6, 8);
  x[77] = 580;
  const gain = noise(192, 7);
  const shift = noise(192, 8);
  expect(nmse(await run(x, gain, shift), layerNormF32Reference(x, gain, shift, epsilon))).toBeLessThan(1e-12);
});

test('refuses no rows', async () => {
  await expect(
    runF32(shared, { x: Float32Array.of(1), gain: Float32Array.of(1), shift: Float32Array.of(1) }, 1, (buffers, y) =>
      layerNormF32(shared.device, { ...buffers, y }, { rows: 0, features: 1, epsilon }),
    ),
  ).rejects.toThrow('rows must be a positive integer, got 0');
});
