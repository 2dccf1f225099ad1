import { expect, test } from 'vitest';
import { softmaxF32 } from '../../src/kernels/softmaxF32.ts';
import { softmaxF32Reference } from '../../src/reference/softmaxF32.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

function run(x: Float32Array, columns: number, scale: number): Promise<Float32Array> {
  return runF32(shared, { x }, x.length, (buffers, y) =>
    softmaxF32(shared.device, { ...buffers, y }, { rows: x.length / columns, columns, scale }),
  );
}

test.each([
  [1, 1],
  [3, 4],
  [4, 3],
  [5, 255],
  [255, 5],
  [2, 257],
  [257, 2],
  [591, 197],
])('%i rows of %i columns', async (rows, columns) => {
  const x = noise(rows * columns, 1, 40);
  const y = await run(x, columns, 0.125);
  expect(nmse(y, softmaxF32Reference(x, columns, 0.125))).toBeLessThan(1e-11);
  for (let r = 0; r < rows; r++) {
    const sum = y.subarray(r * columns, (r + 1) * columns).reduce((s, v) => s + v, 0);
    expect(Math.abs(sum - 1)).toBeLessThan(1e-5);
  }
});

test('large logits neither overflow nor lose their order; a negative scale reverses it', async () => {
  expect([...(await run(Float32Array.of(5000, 4000, -5000), 3, 1))]).toEqual([1, 0, 0]);
  expect([...(await run(Float32Array.of(5000, 4000, -5000), 3, -1))]).toEqual([0, 0, 1]);
});
