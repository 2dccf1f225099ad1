import { expect, test } from 'vitest';
import { columnSumsF32 } from '../../src/kernels/columnSumsF32.ts';
import { columnSumsReference } from '../../src/reference/columnSumsF32.ts';
import { random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

test.each([
  [1, 1, 1],
  [2, 3, 4],
  [3, 5, 255],
  [1, 257, 5],
  [70, 4, 3],
  [2, 197, 768],
])('%i images of %i rows and %i columns', async (images, rows, columns) => {
  const next = random(rows + columns);
  const source = Float32Array.from({ length: images * rows * columns }, () => 9 * (next() + next() - 1));
  const weights = Float32Array.from({ length: images * rows }, () => 3 * next());
  const buffers = { source: uploadInJunk(shared.pool, source, 's'), weights: uploadInJunk(shared.pool, weights, 'w') };
  const bytes = await runInto(shared.pool, images * columns, async (sums) => [
    await columnSumsF32(shared.device, { ...buffers, sums }, { images, rows, columns }),
  ]);
  const { sums, magnitudes } = columnSumsReference(source, weights, { images, rows, columns });
  new Float32Array(bytes).forEach((value, i) => {
    const bound = (rows + 1) * 2 ** -24 * (magnitudes[i] as number);
    expect(Math.abs(value - (sums[i] as number))).toBeLessThanOrEqual(bound);
  });
  for (const buffer of Object.values(buffers)) shared.pool.release(buffer);
});

test('refuses a buffer too small', async () => {
  const buffer = shared.pool.acquire(16, 'small');
  const buffers = { source: buffer, weights: buffer, sums: buffer };
  const shape = { images: 1, rows: 2, columns: 1000 };
  await expect(columnSumsF32(shared.device, buffers, shape)).rejects.toThrow('source needs');
  shared.pool.release(buffer);
});
