import { expect, test } from 'vitest';
import { addF32 } from '../../src/kernels/addF32.ts';
import { addF32Reference } from '../../src/reference/addF32.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

test.each([1, 3, 4, 5, 255, 257, 197 * 192])('%i elements, scale 1 and 0.5, exactly', async (count) => {
  const a = noise(count, 1);
  const b = noise(count, 2, 100);
  for (const scale of [1, 0.5]) {
    const y = await runF32(shared, { a, b }, count, (buffers, output) =>
      addF32(shared.device, { ...buffers, y: output }, { count, scale }),
    );
    expect(y).toEqual(addF32Reference(a, b, scale));
  }
});
