import { expect, test } from 'vitest';
import { geluBackwardF32 } from '../../src/kernels/geluBackwardF32.ts';
import { geluBackwardF32Reference } from '../../src/reference/geluBackwardF32.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

function run(x: Float32Array, dy: Float32Array): Promise<Float32Array> {
  return runF32(shared, { x, dy }, x.length, (buffers, dx) =>
    geluBackwardF32(shared.device, { ...buffers, dx }, { count: x.length }),
  );
}

test.each([1, 3, 4, 5, 255, 257, 197 * 768])('%i elements', async (count) => {
  const x = noise(count, 1, 6);
  x[0] = 2; // a lone value of the far negative tail has no relative accuracy to speak of
  const dy = noise(count, 2);
  expect(nmse(await run(x, dy), geluBackwardF32Reference(x, dy))).toBeLessThan(1e-11);
});

test('every slope of a fine sweep lies within 2e-6 of the exact one; 0 and 1 at the far ends', async () => {
  const x = Float32Array.from({ length: 40_001 }, (_, i) => (i - 20_000) / 1250);
  const actual = await run(x, new Float32Array(x.length).fill(1));
  const expected = geluBackwardF32Reference(x, new Float32Array(x.length).fill(1));
  x.forEach((v, i) => {
    const error = Math.abs((actual[i] as number) - (expected[i] as number));
    expect(error, `slope at ${v} is ${actual[i]}, expected ${expected[i]}`).toBeLessThanOrEqual(2e-6);
  });
  expect(await run(Float32Array.of(-300, 300), Float32Array.of(2, 2))).toEqual(Float32Array.of(0, 2));
});
