import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dyadic, packDyadics } from '../../src/kernels/dyadic.ts';
import { intSoftmax, type IntSoftmaxParams } from '../../src/kernels/intSoftmax.ts';
import { withLevels } from '../../src/kernels/levels.ts';
import {
  softmaxConstants,
  twinThreshold,
  type IntSoftmaxConstants,
  type IntSoftmaxMethod,
} from '../../src/kernels/softmaxConstants.ts';
import { intSoftmaxReference } from '../../src/reference/intSoftmax.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();
const rescaleTable = (ratios: readonly number[]) => packDyadics(ratios.map((ratio) => dyadic(ratio, 'int16')));
const METHODS = ['shift', 'shift-fixed', 'poly', 'lut'] as const;

type Case = Omit<IntSoftmaxParams, 'rows'> & { readonly rescales: Uint32Array };

async function run(accumulators: Int32Array, { rescales, ...params }: Case): Promise<Uint32Array> {
  const { columns, constants, codes: target } = params;
  const rows = accumulators.length / columns;
  const source = uploadInJunk(shared.pool, new Uint32Array(accumulators.buffer), 'accumulators');
  const scales = uploadInJunk(shared.pool, rescales, 'rescales');
  const own = constants.method === 'lut' ? constants.table : undefined;
  const entries = target?.kind === 'levels' ? withLevels(own, target.levels) : own;
  const table = entries ? uploadInJunk(shared.pool, entries, 'table') : null;
  const planes = target?.kind === 'levels' ? 2 : 1;
  try {
    const bytes = await runInto(shared.pool, rows * planes * Math.ceil(columns / 4), async (codes) => [
      await intSoftmax(shared.device, { accumulators: source, rescales: scales, table, codes }, { rows, ...params }),
    ]);
    return new Uint32Array(bytes);
  } finally {
    for (const buffer of [source, scales, table]) if (buffer) shared.pool.release(buffer);
  }
}

function expected(accumulators: Int32Array, { rescales, boundary, ...params }: Case): Uint32Array {
  const rows = accumulators.length / params.columns;
  const threshold = twinThreshold(params.shift, params.bits, boundary);
  return intSoftmaxReference(accumulators, rescales, { rows, threshold, ...params });
}

/** Logits of `range` at `logitBits`, from accumulators of heads that differ in scale. */
function plain(method: IntSoftmaxMethod, columns: number, range = 8, logitBits = 12): Case {
  return {
    columns,
    rowsPerHead: 2,
    heads: 3,
    logitBits,
    bits: 8,
    shift: 4,
    boundary: 'nearest',
    constants: softmaxConstants(method, range / 2 ** (logitBits - 1), columns),
    rescales: rescaleTable([0.011, 0.0371, 0.5]),
  };
}

const accumulatorsOf = (count: number, seed: number, size = 60_000) => {
  const next = random(seed);
  return Int32Array.from({ length: count }, () => Math.floor((next() + next() + next() - 1.5) * size));
};

describe.each(METHODS)('%s', (method) => {
  test.each([1, 3, 4, 5, 197, 255, 257])('%i columns: rows are padded to words', async (columns) => {
    const accumulators = accumulatorsOf(7 * columns, columns);
    const given = plain(method, columns);
    expectSame(await run(accumulators, given), expected(accumulators, given));
  });

  test.each([2, 8, 32])('%i lanes a row: the same codes', async (lanes) => {
    const accumulators = accumulatorsOf(7 * 67, 1);
    const given = { ...plain(method, 67), lanes };
    expectSame(await run(accumulators, given), expected(accumulators, given));
  });

  test('accumulators of -2^31 are masked: the others of a row share its sum, whatever their logits', async () => {
    const [columns, low] = [49, -(2 ** 31)];
    const next = random(8);
    const kept = accumulatorsOf(6 * columns, 8).map((value) => value - 90_000); // at the low end of the logits, and past it
    const masked = kept.map((value, i) => (next() < 0.7 && i % columns !== 5 ? low : value));
    const given = plain(method, columns);
    for (const lanes of [1, 8]) {
      const codes = await run(masked, { ...given, lanes });
      expectSame(codes, expected(masked, given));
      const bytes = new Uint8Array(codes.buffer);
      const stride = 4 * Math.ceil(columns / 4);
      masked.forEach((value, i) => {
        if (value === low) expect(bytes[Math.floor(i / columns) * stride + (i % columns)]).toBe(0);
      });
    }
    const alone = Int32Array.from({ length: columns }, (_, i) => (i === 7 ? low + 1 : low));
    const first = new Uint8Array((await run(alone, given)).buffer);
    expect([...first.subarray(0, columns)].filter((code) => code !== 0)).toHaveLength(1);
  });

  test('rows all equal, with one huge value, all at the minimum, and outliers among small values', async () => {
    const columns = 197;
    const [low, high] = [-(2 ** 31), 2 ** 31 - 1];
    const next = random(3);
    const outliers = Array.from({ length: columns }, (_, i) => (i % 60 === 7 ? 215_000 : (next() - 0.5) * 10_000));
    const rows = [
      Array<number>(columns).fill(1234),
      Array.from({ length: columns }, (_, i) => (i === 100 ? high : 0)),
      Array<number>(columns).fill(low),
      Array.from({ length: columns }, (_, i) => (i === 196 ? low + 1 : low)),
      Array.from({ length: columns }, (_, i) => (i % 2 === 0 ? low : high)),
      outliers.map(Math.trunc),
    ];
    const accumulators = Int32Array.from(rows.flat());
    for (const given of [plain(method, columns), plain(method, columns, 32, 8)]) {
      expectSame(await run(accumulators, given), expected(accumulators, given));
    }
  });

  test('equals the reference bit for bit at every width, shift, boundary and scale', async () => {
    const shapes = fc.record({
      columns: fc.integer({ min: 1, max: 20 }),
      rowsPerHead: fc.integer({ min: 1, max: 3 }),
      heads: fc.integer({ min: 1, max: 3 }),
      logitBits: fc.integer({ min: 8, max: method === 'lut' ? 16 : 12 }),
      bits: fc.integer({ min: 2, max: 8 }),
      shift: fc.integer({ min: 0, max: 15 }),
      boundary: fc.constantFrom('nearest' as const, 'published' as const),
      range: fc.constantFrom(4, 8, 16, 32, 100),
      seed: fc.nat(1e6),
      ratio: fc.constantFrom(2 ** -24, 2 ** -10, 0.013, 0.5, 3),
    });
    await fc.assert(
      fc.asyncProperty(shapes, async ({ range, seed, ratio, ...shape }) => {
        const { columns, heads, logitBits } = shape;
        const constants = softmaxConstants(method, range / 2 ** (logitBits - 1), columns);
        const size = 2 ** logitBits / ratio;
        const accumulators = accumulatorsOf(5 * columns, seed, Math.min(size, 2 ** 31));
        const rescales = rescaleTable(Array.from({ length: heads }, (_, i) => ratio * (1 + i / 7)));
        const given = { ...shape, constants, rescales };
        expectSame(await run(accumulators, given), expected(accumulators, given));
      }),
      { numRuns: 40, seed: 1 },
    );
  });
});

/** Levels of a log scale: 0 and powers of 2^-1/4 below the largest. */
const LOG_LEVELS = [0, ...new Set(Array.from({ length: 57 }, (_, i) => Math.round(16383 * 2 ** (-(56 - i) / 4))))];

describe.each(METHODS)('%s without twin ranges', (method) => {
  const other = (given: Case, codes: NonNullable<IntSoftmaxParams['codes']>, units: readonly number[]): Case => {
    return { ...given, codes, rescales: Uint32Array.from([...given.rescales, ...rescaleTable(units)]) };
  };
  const EIGHTHS = [8 * 2 ** -24 * 16383, 8 * 2 ** -24 * 4096, 8 * 2 ** -24 * 70];

  test.each([1, 3, 4, 5, 197, 257])(
    'levels of %i columns: two planes of words, every head in its unit',
    async (columns) => {
      const accumulators = accumulatorsOf(7 * columns, columns);
      for (const levels of [LOG_LEVELS, [0, 5], [77], Array.from({ length: 256 }, (_, i) => 64 * i + (i % 3))]) {
        for (const lanes of [1, 4]) {
          const given = { ...other(plain(method, columns), { kind: 'levels', levels }, EIGHTHS), lanes };
          expectSame(await run(accumulators, given), expected(accumulators, given));
        }
      }
    },
  );

  test('uniform codes of every width, every head in its unit', async () => {
    const accumulators = accumulatorsOf(7 * 67, 5);
    for (const bits of [2, 4, 7, 8]) {
      const units = [2 ** (bits - 1), 2 ** (bits + 4), 3].map((codes) => codes * 2 ** -24);
      const given = { ...other(plain(method, 67), { kind: 'uniform' }, units), bits };
      const packed = await run(accumulators, given);
      expectSame(packed, expected(accumulators, given));
      const bytes = new Uint8Array(packed.buffer);
      expect(bytes.reduce((most, byte) => Math.max(most, byte), 0)).toBe(2 ** (bits - 1) - 1);
    }
  });
});

test('a level is the nearest, the upper one of two equally near', async () => {
  // two columns of logits 0 and one more: probabilities of known sizes
  const columns = 2;
  const levels = [0, 3, 100, 8191, 8193, 16383];
  const given: Case = {
    ...plain('lut', columns),
    codes: { kind: 'levels', levels },
    heads: 1,
    rescales: Uint32Array.from([...rescaleTable([0.5]), ...rescaleTable([8 * 16384 * 2 ** -24])]),
  };
  const packed = await run(Int32Array.of(0, 0), given); // p = 1/2 is 8192 units, between 8191 and 8193
  expectSame(packed, expected(Int32Array.of(0, 0), given));
  const bytes = new Uint8Array(packed.buffer);
  expect([bytes[0], bytes[4]]).toEqual([128 + 63, 127]); // share() rounds 1/2 down: 8191
  const up = {
    ...given,
    rescales: Uint32Array.from([...rescaleTable([0.5]), ...rescaleTable([8 * 16385 * 2 ** -24])]),
  };
  const upper = new Uint8Array((await run(Int32Array.of(0, 0), up)).buffer);
  expect([upper[0], upper[4]]).toEqual([128 + 64, 1]);
});

test('refuses levels that the planes cannot hold, a table without them and rescales without theirs', async () => {
  const given = plain('shift-fixed', 4);
  const both = Uint32Array.from([...given.rescales, ...given.rescales]);
  const levels = (values: number[]) =>
    ({ ...given, rescales: both, codes: { kind: 'levels', levels: values } }) as Case;
  await expect(run(new Int32Array(4), levels([0, 16384]))).rejects.toThrow('16384');
  await expect(run(new Int32Array(4), levels([3, 3]))).rejects.toThrow('ascend');
  const buffers = { accumulators: shared.pool.zeros(64, 'a'), rescales: shared.pool.zeros(64, 'r'), table: null };
  const codes = shared.pool.zeros(64, 'c');
  const params = { ...levels([0, 3]), rows: 1 };
  await expect(intSoftmax(shared.device, { ...buffers, codes }, params)).rejects.toThrow('codes of 2 levels need');
  await expect(
    intSoftmax(shared.device, { ...buffers, table: { buffer: codes, offset: 0, size: 4 }, codes }, params),
  ).rejects.toThrow('table needs 8 bytes');
  const few = { ...buffers, table: codes, rescales: { buffer: codes, offset: 0, size: 24 } };
  await expect(intSoftmax(shared.device, { ...few, codes }, params)).rejects.toThrow('rescales needs 48 bytes');
});

/** Constants at the end of what is accepted: every part of a row of 256 the largest. */
test.each<[string, IntSoftmaxConstants, number]>([
  ['shift, where the sum saturates', { method: 'shift', unit: 65535 }, 256],
  ['shift-fixed, unit 2^n columns = 2^30', { method: 'shift-fixed', unit: 512, fraction: 0, octaves: 13 }, 256],
  ['shift-fixed with one column', { method: 'shift-fixed', unit: 2 ** 17, fraction: 0, octaves: 13 }, 1],
  ['lut, entries of 2^22', softmaxConstants('lut', 1e-3, 256), 256],
  ['lut with one column, entries of 2^30', { ...lutOf(2 ** 30), method: 'lut' }, 1],
  ['poly with its largest constant', softmaxConstants('poly', 3.7e-5, 256), 256],
  ['shift-fixed with its largest fraction', softmaxConstants('shift-fixed', 700, 256), 256],
  ['poly with its largest fraction', softmaxConstants('poly', 100, 256), 256],
])('the bound holds at its extreme: %s', async (_what, constants, columns) => {
  const given = { ...plain('lut', columns, 8, 16), columns, constants, shift: 9, rescales: rescaleTable([1, 1, 1]) };
  const next = random(9);
  const rows = [
    () => -7,
    () => Math.floor(next() * 65536) - 32768,
    (i: number) => (i % 2 === 0 ? -32768 : 32767),
    (i: number) => 4096 * (i % 8), // distances that a shift by 20 bits would wrap to 0
  ];
  const accumulators = Int32Array.from(rows.flatMap((value) => Array.from({ length: columns }, (_, i) => value(i))));
  expectSame(await run(accumulators, given), expected(accumulators, given));
});

function lutOf(one: number): { multiplier: number; multiplierShift: number; table: Uint32Array } {
  const table = Uint32Array.from({ length: 256 }, (_, i) => Math.round(one * 2 ** (-i / 256)));
  return { multiplier: 2 ** 14, multiplierShift: 14, table };
}

test('Shiftmax does not go below e^-15 octaves: 236 such parts take 21 equal probabilities from 98 to 97 steps', async () => {
  const accumulators = Int32Array.from({ length: 257 }, (_, i) => (i < 21 ? 127 : -128));
  const given = { ...plain('shift', 257, 32, 8), rescales: rescaleTable([1, 1, 1]) };
  const codes = await run(accumulators, given);
  expectSame(codes, expected(accumulators, given));
  expect((codes[0] as number) & 0xff).toBe(97);
});

test('i-exp divides 2^32 by a sum of 2^15 exactly: a part of 1 is a probability of 2^-15', async () => {
  const accumulators = Int32Array.of(1350, 0); // e^-10.55 is 0.86 of 32767, rounded to 1
  const given = { ...plain('poly', 2, 16), shift: 7, rescales: rescaleTable([1, 1, 1]) };
  const codes = await run(accumulators, given);
  expectSame(codes, expected(accumulators, given));
  expect((codes[0] as number) >>> 8).toBe(1); // half a step of R1, rounded up
});

test('the attention of DeiT-Tiny, all methods, one and 32 lanes', async () => {
  const accumulators = accumulatorsOf(3 * 197 * 197, 5);
  for (const method of METHODS) {
    const given = { ...plain(method, 197), rowsPerHead: 197 };
    const wanted = expected(accumulators, given);
    expectSame(await run(accumulators, given), wanted);
    expectSame(await run(accumulators, { ...given, lanes: 32 }), wanted);
  }
});

test('refuses what it cannot do, with the number', async () => {
  const x = Int32Array.of(1, 2, 3);
  const good = plain('shift', 3);
  const refused = (change: Partial<Case>) => expect(run(x, { ...good, ...change })).rejects;
  await refused({ bits: 9 }).toThrow('bits must be an integer in 2..8, got 9');
  await refused({ shift: 16 }).toThrow('shift must be an integer in 0..15, got 16');
  await refused({ logitBits: 17 }).toThrow('logitBits must be an integer in 8..16, got 17');
  await refused({ lanes: 3 }).toThrow('lanes must be a power of two in 1..32, got 3');
  await refused({ heads: 0 }).toThrow('heads must be an integer of at least 1, got 0');
  await refused({ heads: 40 }).toThrow('rescales needs 320 bytes');
  await refused({ constants: { method: 'shift', unit: 65536 } }).toThrow('unit 65536 << 15 passes int32');
  const wide = { method: 'shift-fixed', unit: 1024, fraction: 0, octaves: 20 } as const;
  await refused({ constants: wide }).toThrow('n = 20 must be 13..18 for unit 1024');
  const short = { ...lutOf(2 ** 20), method: 'lut', table: new Uint32Array(255) } as const;
  await refused({ constants: short }).toThrow('the table needs 256 entries, it has 255');
});
