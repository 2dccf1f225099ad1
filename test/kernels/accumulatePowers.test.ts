import { expect, test } from 'vitest';
import { submit } from '../../src/gpu/kernel.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { accumulatePowers } from '../../src/kernels/accumulatePowers.ts';
import { accumulatePowersReference } from '../../src/reference/accumulatePowers.ts';
import { expectSame } from '../support/codes.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise, withJunk } from '../support/floats.ts';

const shared = useGpu();

/** Adds `parts` one after the other to `start`; fails when anything after the sums changes. */
async function run(start: Float32Array, parts: readonly Float32Array[], power: 1 | 2): Promise<Float32Array> {
  const { device, pool } = shared;
  const scope = pool.scope();
  try {
    const count = start.length;
    const sums = scope.upload(withJunk(start), 'sums');
    for (const part of parts) {
      const source = scope.upload(withJunk(part), 'source');
      const repeats = part.length / count;
      submit(device, [await accumulatePowers(device, { source, sums }, { count, repeats, power })]);
    }
    const got = await readF32(device, sums, count + 13);
    expect([...got.subarray(count)]).toEqual(Array.from({ length: 13 }, () => 1e6));
    return got.slice(0, count);
  } finally {
    scope.release();
  }
}

test.each([1, 3, 4, 5, 255, 257, 197 * 192])('%i sums of magnitudes and of squares', async (count) => {
  const start = noise(count, 1).map(Math.abs);
  for (const repeats of [1, 3]) {
    const source = noise(repeats * count, 2, 3);
    // Magnitudes are exact but for the additions; a square and its addition may be fused into one rounding.
    expectSame(await run(start, [source], 1), accumulatePowersReference(start, source, 1));
    expect(nmse(await run(start, [source], 2), accumulatePowersReference(start, source, 2))).toBeLessThan(1e-13);
  }
});

test.each([1, 2] as const)('power %i: parts in turn give the bits of the whole', async (power) => {
  const source = noise(5 * 67, 3);
  const whole = await run(new Float32Array(67), [source], power);
  const parts = [source.slice(0, 2 * 67), source.slice(2 * 67, 3 * 67), source.slice(3 * 67)];
  expectSame(await run(new Float32Array(67), parts, power), whole);
});

test('refuses a source that is too short', async () => {
  const buffer = shared.pool.upload(new Float32Array(8), 'short');
  const shape = { count: 8, repeats: 2, power: 2 } as const;
  await expect(accumulatePowers(shared.device, { source: buffer, sums: buffer }, shape)).rejects.toThrow(
    'source needs',
  );
  shared.pool.release(buffer);
});
