import { expect, test } from 'vitest';
import { geluF32 } from '../../src/kernels/geluF32.ts';
import { geluF32Reference } from '../../src/reference/geluF32.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

function run(x: Float32Array): Promise<Float32Array> {
  return runF32(shared, { x }, x.length, (buffers, y) =>
    geluF32(shared.device, { ...buffers, y }, { count: x.length }),
  );
}

test.each([1, 3, 4, 5, 255, 257, 197 * 768])('%i elements', async (count) => {
  const x = noise(count, 1, 6);
  x[0] = 2; // a lone value of the far negative tail has no relative accuracy to speak of
  expect(nmse(await run(x), geluF32Reference(x))).toBeLessThan(1e-12);
});

test('every value of a fine sweep lies within 4e-7 |x| of the exact GELU, far beyond the fitted range too', async () => {
  const x = Float32Array.from({ length: 40_001 }, (_, i) => (i - 20_000) / 1600).map((v) => (v > 12 ? 20 * v : v));
  const [actual, expected] = [await run(x), geluF32Reference(x)];
  x.forEach((v, i) => {
    const error = Math.abs((actual[i] as number) - (expected[i] as number));
    expect(error, `gelu(${v}) = ${actual[i]}, expected ${expected[i]}`).toBeLessThanOrEqual(4e-7 * Math.abs(v));
  });
});
