import { expect, test } from 'vitest';
import { dequantize, type DequantizeParams } from '../../src/kernels/dequantize.ts';
import { packRowMajor } from '../../src/reference/codes.ts';
import { dequantizeReference } from '../../src/reference/dequantize.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

/** Integers of the width, a quarter of them extremes or next to zero. */
function integers(count: number, bits: number, next: () => number): Int32Array {
  const q = 2 ** (bits - 1);
  const special = [-q, q - 1, -1, 0, 1];
  return Int32Array.from({ length: count }, () =>
    next() < 0.25 ? (special[Math.floor(5 * next())] as number) : Math.floor(2 * q * next()) - q,
  );
}

function packed(values: Int32Array, bits: number, rows: number, columns: number): Uint32Array {
  if (bits === 8) return packRowMajor(values, rows, columns);
  return bits === 16 ? packInt16(values, columns) : new Uint32Array(values.buffer);
}

/** Runs the kernel in its grid and in one folded into two lines, and expects the same twice. */
async function run(
  source: Uint32Array,
  scales: Float32Array,
  params: DequantizeParams,
  length = params.rows * params.columns,
): Promise<Float32Array> {
  const buffers = {
    source: uploadInJunk(shared.pool, source, 'source'),
    scales: uploadInJunk(shared.pool, scales, 's'),
  };
  try {
    const once = async (lines: number) => {
      const bytes = await runInto(shared.pool, length, async (y) => {
        const dispatch = await dequantize(shared.device, { ...buffers, y }, params);
        const [x] = dispatch.grid;
        return [lines === 1 ? dispatch : { ...dispatch, grid: [Math.ceil(x / lines), lines, 1] }];
      });
      return new Float32Array(bytes);
    };
    const whole = await once(1);
    expectSame(await once(2), whole);
    return whole;
  } finally {
    Object.values(buffers).forEach((buffer) => shared.pool.release(buffer));
  }
}

const shapes = [
  [1, 1, 1, 1],
  [1, 2, 3, 3],
  [3, 2, 1, 4],
  [2, 3, 4, 5],
  [1, 1, 3, 255],
  [1, 2, 2, 257],
  [1, 1, 257, 3],
  [1, 3, 197, 197],
] as const;

test.each(shapes.flatMap((shape) => ([8, 16, 32] as const).map((bits) => [...shape, bits] as const)))(
  '%i images of %i heads, %i rows, %i columns, %i bits',
  async (images, heads, rowsPerHead, columns, bits) => {
    const next = random(columns + bits);
    const rows = images * heads * rowsPerHead;
    const values = integers(rows * columns, bits, next);
    const scales = Float32Array.from({ length: heads }, () => 0.001 + next());
    const params = { bits, rows, columns, rowsPerHead, heads };
    const y = await run(packed(values, bits, rows, columns), scales, params);
    expectSame(y, dequantizeReference(values, scales, { columns, rowsPerHead }));
    values.forEach((value, i) => {
      const exact = value * (scales[Math.floor(i / (columns * rowsPerHead)) % heads] as number);
      const bound = (Math.abs(value) > 2 ** 24 ? 2.001 : 1) * 2 ** -24 * Math.abs(exact);
      if (Math.abs((y[i] as number) - exact) > bound) expect.fail(`${value} became ${y[i]}, not ${exact}`);
    });
  },
);

test.each([8, 16, 32] as const)('every second of some rows from the third on, %i bits', async (bits) => {
  const columns = 7;
  const values = integers(12 * columns, bits, random(bits));
  const words = Math.ceil((columns * bits) / 32);
  const scales = Float32Array.of(0.37);
  const picked = [2, 4, 6, 8, 10].flatMap((row) => [...values.subarray(row * columns, (row + 1) * columns)]);
  const params = { bits, rows: 5, columns, offset: 2 * words, rowStride: 2 * words };
  const y = await run(packed(values, bits, 12, columns), scales, params);
  expectSame(y, dequantizeReference(picked, scales, { columns, rowsPerHead: 5 }));
});

test('integers past 2^24 are rounded to even once, then multiplied', async () => {
  const values = Int32Array.of(2 ** 24 + 1, 2 ** 24 + 3, -(2 ** 24) - 1, 2 ** 31 - 1, -(2 ** 31), 16777215);
  const y = await run(new Uint32Array(values.buffer), Float32Array.of(1), { bits: 32, rows: 2, columns: 3 });
  expect([...y]).toEqual([2 ** 24, 2 ** 24 + 4, -(2 ** 24), 2 ** 31, -(2 ** 31), 16777215]);
});

test('refuses what it cannot do, with the number', async () => {
  const source = new Uint32Array(4);
  const scales = Float32Array.of(1);
  const params = { bits: 16, rows: 3, columns: 3 } as const;
  const refused = (changed: Partial<DequantizeParams>) =>
    expect(run(source, scales, { ...params, ...changed }, 9)).rejects;
  await refused({ bits: 12 as 16 }).toThrow('bits must be 8, 16 or 32, got 12');
  await refused({ rows: 0 }).toThrow('rows must be an integer of at least 1, got 0');
  await refused({ rowStride: 1000 }).toThrow('source needs 8008 bytes');
  await refused({ offset: 1000 }).toThrow('source needs 4024 bytes');
  await refused({ heads: 1000 }).toThrow('scales needs 4000 bytes');
  await refused({ rows: 1000, rowStride: 0 }).toThrow('y needs 12000 bytes');
});
