import { expect, test } from 'vitest';
import { scaleRowsF32 } from '../../src/kernels/scaleRowsF32.ts';
import { scaleRowsReference } from '../../src/reference/scaleRowsF32.ts';
import { random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

test.each([
  [1, 1],
  [3, 4],
  [5, 3],
  [255, 257],
  [257, 5],
  [197, 768],
])('%i rows of %i columns equal the reference in every bit', async (rows, columns) => {
  const next = random(rows + columns);
  const source = Float32Array.from({ length: rows * columns }, () => 430 * (next() - 0.5));
  const factors = Float32Array.from({ length: rows }, (_, i) => (i === 1 ? 0 : next() ** 4));
  const buffers = { source: uploadInJunk(shared.pool, source, 's'), factors: uploadInJunk(shared.pool, factors, 'f') };
  const bytes = await runInto(shared.pool, rows * columns, async (destination) => [
    await scaleRowsF32(shared.device, { ...buffers, destination }, { rows, columns }),
  ]);
  const expected = scaleRowsReference(source, factors, { rows, columns });
  expect(Buffer.from(bytes).equals(Buffer.from(expected.buffer))).toBe(true);
  for (const buffer of Object.values(buffers)) shared.pool.release(buffer);
});

test('refuses a buffer too small', async () => {
  const buffer = shared.pool.acquire(16, 'small');
  const buffers = { source: buffer, factors: buffer, destination: buffer };
  await expect(scaleRowsF32(shared.device, buffers, { rows: 2, columns: 1000 })).rejects.toThrow('source needs');
  shared.pool.release(buffer);
});
