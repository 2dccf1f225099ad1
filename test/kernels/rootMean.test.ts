import { expect, test } from 'vitest';
import { rootMean } from '../../src/kernels/rootMean.ts';
import { rootMeanReference } from '../../src/reference/rootMean.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

test.each([1, 3, 4, 5, 255, 257, 197 * 192])('%i roots, repeated', async (count) => {
  const sums = noise(count, 1, 4).map(Math.abs);
  sums[0] = 0;
  for (const [repeats, factor] of [
    [1, 1],
    [3, 1 / 32],
  ] as const) {
    const y = await runF32(shared, { sums }, repeats * count, ({ sums }, output) =>
      rootMean(shared.device, { sums, y: output }, { count, repeats, factor }),
    );
    expect(y[0]).toBe(0);
    if (count > 1) expect(nmse(y, rootMeanReference(sums, repeats, factor))).toBeLessThan(1e-12);
  }
});

test('refuses a result that is too short', async () => {
  const buffer = shared.pool.upload(new Float32Array(8), 'short');
  const shape = { count: 8, repeats: 2, factor: 1 };
  await expect(rootMean(shared.device, { sums: buffer, y: buffer }, shape)).rejects.toThrow('y needs');
  shared.pool.release(buffer);
});
