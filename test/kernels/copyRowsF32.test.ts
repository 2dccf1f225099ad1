import { expect, test } from 'vitest';
import { submit } from '../../src/gpu/kernel.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { copyRowsF32 } from '../../src/kernels/copyRowsF32.ts';
import { copyRowsF32Reference } from '../../src/reference/copyRowsF32.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';

const shared = useGpu();

test.each([
  ['row 1 of 5 forward', 3, 1, 7, { sourceOffset: 7, sourceOuter: 35, sourceRow: 7 }, [0, 7, 7]],
  ['its gradient', 3, 1, 7, { sourceOffset: 0, sourceOuter: 7, sourceRow: 7 }, [7, 35, 7]],
  ['a column range', 2, 255, 3, { sourceOffset: 4, sourceOuter: 255 * 9, sourceRow: 9 }, [0, 765, 3]],
  ['rows behind a prefix', 2, 196, 192, { sourceOffset: 192, sourceOuter: 197 * 192, sourceRow: 192 }, [0, 37632, 192]],
  ['one element', 1, 1, 1, { sourceOffset: 0, sourceOuter: 1, sourceRow: 1 }, [0, 1, 1]],
] as const)('%s: exactly, and nothing else is touched', async (_what, images, rows, columns, from, to) => {
  const [targetOffset, targetOuter, targetRow] = to;
  const shape = { images, rows, columns, ...from, targetOffset, targetOuter, targetRow };
  const source = noise(images * Math.max(from.sourceOuter, targetOuter) + 200, 1);
  source[from.sourceOffset] = 1e-42; // a subnormal survives
  const destination = noise(images * Math.max(from.sourceOuter, targetOuter) + 200, 2);
  const expected = destination.slice();
  copyRowsF32Reference(source, expected, shape);
  for (const lines of [1, 2]) {
    const scope = shared.pool.scope();
    const buffers = { source: scope.upload(source, 'source'), destination: scope.upload(destination, 'destination') };
    const dispatch = await copyRowsF32(shared.device, buffers, shape);
    submit(shared.device, [{ ...dispatch, grid: [Math.ceil(dispatch.grid[0] / lines), lines, 1] }]);
    expect(await readF32(shared.device, buffers.destination, destination.length)).toEqual(expected);
    scope.release();
  }
});
