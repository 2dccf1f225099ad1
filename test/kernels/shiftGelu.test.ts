import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { geluConstants } from '../../src/kernels/geluConstants.ts';
import { withLevels } from '../../src/kernels/levels.ts';
import { shiftGelu, type ShiftGeluParams } from '../../src/kernels/shiftGelu.ts';
import { packRowMajor } from '../../src/reference/codes.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { shiftGeluReference } from '../../src/reference/shiftGelu.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

type Case = Omit<ShiftGeluParams, 'rows'>;

async function run(values: readonly number[], params: Case): Promise<Uint32Array> {
  const { columns, inputBits, codes: target } = params;
  const rows = values.length / columns;
  const packed = inputBits === 8 ? packRowMajor(values, rows, columns) : packInt16(values, columns);
  const source = uploadInJunk(shared.pool, packed, 'source');
  const levels = target?.kind === 'levels' ? withLevels(undefined, target.levels) : null;
  const table = levels && uploadInJunk(shared.pool, levels, 'table');
  try {
    const bytes = await runInto(shared.pool, rows * (levels ? 2 : 1) * Math.ceil(columns / 4), async (codes) => [
      await shiftGelu(shared.device, { source, table, codes }, { rows, ...params }),
    ]);
    return new Uint32Array(bytes);
  } finally {
    for (const buffer of [source, table]) if (buffer) shared.pool.release(buffer);
  }
}

function expected(values: readonly number[], { columns, bits, shift, constants, codes }: Case): Uint32Array {
  return shiftGeluReference(values, { columns, bits, shift, ...constants, ...(codes ? { codes } : {}) });
}

function cover(inputBits: 8 | 16, scale: number, columns: number, bits = 8, shift = 4): Case {
  const { constants } = geluConstants('shift', {
    scale,
    inputBits,
    bits,
    shift,
    scaleR1: 0.17 / (2 ** (bits - 1) - 1),
  });
  if (constants.method !== 'shift') throw new Error('another kernel');
  return { columns, inputBits, bits, shift, constants };
}

describe.each([8, 16] as const)('%i-bit codes', (inputBits) => {
  const q = 2 ** (inputBits - 1);

  test.each([1, 3, 4, 5, 197, 255, 257])('%i columns: rows are padded to words', async (columns) => {
    const next = random(columns);
    const values = Array.from({ length: 7 * columns }, () => Math.floor((next() - 0.5) ** 3 * 8 * q));
    const given = cover(inputBits, 8 / 128, columns);
    expectSame(await run(values, given), expected(values, given));
    expectSame(await run(values, { ...given, lanes: 8 }), expected(values, given));
  });

  test('rows all equal, all at an end, all below zero, and an outlier of 215 among values of deviation 5', async () => {
    const next = random(4);
    const small = () => Math.round((next() + next() + next() - 1.5) * 10 * (q / 215));
    const rows = [
      ...[3, 0, -1, -9, -q, q - 1].map((value) => Array<number>(67).fill(value)),
      Array.from({ length: 67 }, (_, i) => -1 - ((i * 5) % q)),
      Array.from({ length: 67 }, (_, i) => (i === 20 ? q - 1 : small())),
      Array.from({ length: 67 }, (_, i) => (i === 66 ? q - 1 : -q)),
    ];
    for (const scale of [8 / 128, 0.01, 215 / 128]) {
      const given = cover(inputBits, scale, 67);
      expectSame(await run(rows.flat(), given), expected(rows.flat(), given));
      expectSame(await run(rows.flat(), { ...given, lanes: 32 }), expected(rows.flat(), given));
    }
  });

  test('equals the reference bit for bit at every width, shift and scale', async () => {
    const cases = fc.record({
      columns: fc.integer({ min: 1, max: 30 }),
      bits: fc.integer({ min: 2, max: 8 }),
      shift: fc.integer({ min: 0, max: 15 }),
      scale: fc.double({ min: 0.0025, max: 2, noNaN: true }),
      spread: fc.constantFrom(1, 8, 64),
      below: fc.constantFrom(0, 1, 20, 300),
      seed: fc.nat(1e6),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ columns, bits, shift, scale, spread, below, seed }) => {
        const next = random(seed);
        const value = () => Math.max(-q, Math.floor((next() - 0.5) * spread * 2) - below);
        const values = Array.from({ length: 4 * columns }, value);
        const given = cover(inputBits, scale, columns, bits, shift);
        expectSame(await run(values, given), expected(values, given));
      }),
      { numRuns: 40, seed: 3 },
    );
  });
});

test('the bound holds at its extreme: e^0 of 255 2^23, and e^-max past 2^31', async () => {
  const given = cover(16, 1 / (1.702 * 254.5), 257);
  expect(given.constants.unit).toBe(255);
  const values = [0, 32767, -32768].flatMap((top) =>
    Array.from({ length: 257 }, (_, i) => Math.max(top - i * 9, -32768)),
  );
  expectSame(await run(values, given), expected(values, given));
});

test('refuses what it cannot do, with the number', async () => {
  const good = cover(16, 0.1, 3);
  const refused = (change: Partial<Case>) => expect(run([1, 2, 3], { ...good, ...change })).rejects;
  await refused({ bits: 9 }).toThrow('bits must be an integer in 2..8, got 9');
  await refused({ lanes: 64 }).toThrow('lanes must be a power of two in 1..32, got 64');
  await refused({ shift: 16 }).toThrow('shift must be an integer in 0..15, got 16');
  const unit = { ...good.constants, unit: 256 };
  await refused({ constants: unit }).toThrow('unit 256 << 23 passes int32: unit must be 1..255');
});

test.each([1, 3, 4, 5, 257])('%i columns of levels and of uniform codes', async (columns) => {
  const next = random(columns);
  const values = Array.from({ length: 3 * columns }, () => Math.floor((next() - 0.5) * 256));
  const given = cover(8, 0.02, columns, 8, 0);
  const levels = [-127, -64, -3, 0, 1, 5, 11, 128, 129, 1000, 4096, 16256];
  for (const codes of [{ kind: 'uniform' }, { kind: 'levels', levels }] as const) {
    for (const lanes of [1, 4]) {
      expectSame(await run(values, { ...given, codes, lanes }), expected(values, { ...given, codes }));
    }
  }
});
