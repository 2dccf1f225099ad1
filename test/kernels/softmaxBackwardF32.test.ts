import { expect, test } from 'vitest';
import { softmaxBackwardF32 } from '../../src/kernels/softmaxBackwardF32.ts';
import { softmaxBackwardF32Reference } from '../../src/reference/softmaxBackwardF32.ts';
import { softmaxF32Reference } from '../../src/reference/softmaxF32.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

test.each([
  [3, 4],
  [4, 3],
  [5, 255],
  [255, 5],
  [2, 257],
  [257, 3],
  [591, 197],
])('%i rows of %i columns', async (rows, columns) => {
  const scale = 0.125;
  const y = softmaxF32Reference(noise(rows * columns, 1, 40), columns, scale);
  const dy = noise(rows * columns, 2);
  const dx = await runF32(shared, { y, dy }, y.length, (buffers, output) =>
    softmaxBackwardF32(shared.device, { ...buffers, dx: output }, { rows, columns, scale }),
  );
  expect(nmse(dx, softmaxBackwardF32Reference(y, dy, columns, scale))).toBeLessThan(1e-11);
});
