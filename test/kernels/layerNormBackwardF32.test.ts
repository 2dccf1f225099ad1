import { expect, test } from 'vitest';
import { layerNormBackwardF32 } from '../../src/kernels/layerNormBackwardF32.ts';
import { layerNormBackwardF32Reference } from '../../src/reference/layerNormBackwardF32.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();
const epsilon = 1e-6;

function run(x: Float32Array, gain: Float32Array, dy: Float32Array): Promise<Float32Array> {
  const features = gain.length;
  return runF32(shared, { x, gain, dy }, x.length, (buffers, dx) =>
    layerNormBackwardF32(shared.device, { ...buffers, dx }, { rows: x.length / features, features, epsilon }),
  );
}

test.each([
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
  const dy = noise(rows * features, 3);
  expect(nmse(await run(x, gain, dy), layerNormBackwardF32Reference(x, gain, dy, epsilon))).toBeLessThan(1e-11);
});

test('one outlier of 580 in a row of deviation 5, as in trained models', async () => {
  const x = noise(192, 6, 8);
  x[77] = 580;
  const gain = noise(192, 7);
  const dy = noise(192, 8);
  expect(nmse(await run(x, gain, dy), layerNormBackwardF32Reference(x, gain, dy, epsilon))).toBeLessThan(1e-11);
});

test('a row has no gradient along itself: the sum over features is zero when the gain is one', async () => {
  const dx = await run(noise(64, 9), new Float32Array(64).fill(1), noise(64, 10));
  expect(Math.abs(dx.reduce((sum, v) => sum + v, 0))).toBeLessThan(1e-5);
});
