import { expect, test } from 'vitest';
import { attentionBiasF32 } from '../../src/kernels/attentionBiasF32.ts';
import { attentionBiasF32Reference } from '../../src/reference/attentionBiasF32.ts';
import { nmse, useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

/** Integers for a binding of u32, as the harness uploads f32. */
const bits = (values: readonly number[]) => new Float32Array(Uint32Array.from(values).buffer);

test.each([
  [1, 1, 1, 1],
  [1, 3, 2, 4],
  [2, 4, 3, 5],
  [3, 2, 1, 9],
  [1, 1, 2, 16],
  [2, 4, 3, 49],
  [1, 1, 1, 144],
])('%i images of %i windows, %i heads, %i tokens, with a mask and without', async (images, windows, heads, tokens) => {
  const rows = tokens + 3;
  const x = noise(images * windows * heads * tokens ** 2, 1, 30);
  const table = noise(rows * heads, 2, 4);
  const pairs = Array.from({ length: tokens ** 2 }, (_, i) => (i * 7 + Math.floor(i / tokens)) % rows);
  const regions = Array.from({ length: windows * tokens }, (_, i) => (i * 5 + Math.floor(i / 3)) % 4);
  const shape = { images, windows, heads, tokens, scale: 0.17677669 };
  for (const mask of [regions, null]) {
    const inputs = { x, table, pairs: bits(pairs), regions: bits(regions) };
    const y = await runF32(shared, inputs, x.length, (buffers, output) => {
      const bound = { ...buffers, regions: mask && buffers.regions, y: output };
      return attentionBiasF32(shared.device, bound, shape);
    });
    expect(nmse(y, attentionBiasF32Reference(x, table, pairs, mask, shape))).toBeLessThan(1e-12);
  }
});
