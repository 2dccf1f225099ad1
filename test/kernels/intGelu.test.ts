import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { geluConstants, type IntGeluConstants, type IntGeluMethod } from '../../src/kernels/geluConstants.ts';
import { intGelu, type IntGeluParams } from '../../src/kernels/intGelu.ts';
import { withLevels } from '../../src/kernels/levels.ts';
import { packRowMajor } from '../../src/reference/codes.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { intGeluReference } from '../../src/reference/intGelu.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

type Case = Omit<IntGeluParams, 'rows'>;
type Method = Exclude<IntGeluMethod, 'shift'>;

async function run(values: readonly number[], params: Case): Promise<Uint32Array> {
  const { columns, inputBits, constants, codes: target } = params;
  const rows = values.length / columns;
  const packed = inputBits === 8 ? packRowMajor(values, rows, columns) : packInt16(values, columns);
  const source = uploadInJunk(shared.pool, packed, 'source');
  const own = 'table' in constants ? constants.table : undefined;
  const entries = target?.kind === 'levels' ? withLevels(own, target.levels) : own;
  const table = entries ? uploadInJunk(shared.pool, entries, 'table') : null;
  const planes = target?.kind === 'levels' ? 2 : 1;
  try {
    const bytes = await runInto(shared.pool, rows * planes * Math.ceil(columns / 4), async (codes) => [
      await intGelu(shared.device, { source, table, codes }, { rows, ...params }),
    ]);
    return new Uint32Array(bytes);
  } finally {
    for (const buffer of [source, table]) if (buffer) shared.pool.release(buffer);
  }
}

/** The case of a range that the input codes just hold, with a twin shift and R1 of 127 steps. */
function cover(
  method: Method,
  inputBits: 8 | 16,
  range: number,
  columns: number,
  bits = 8,
  shift = 4,
  scaleR1 = 0.17 / (2 ** (bits - 1) - 1),
): Case {
  const scale = range / 2 ** (inputBits - 1);
  const { constants } = geluConstants(method, { scale, inputBits, bits, shift, scaleR1 });
  if (constants.method === 'shift') throw new Error('another kernel');
  return { columns, inputBits, bits, shift, constants };
}

const FORMS: [Method, 8 | 16][] = [
  ['shift-fixed', 8],
  ['shift-fixed', 16],
  ['poly', 8],
  ['poly', 16],
  ['lut', 8],
  ['lut', 16],
  ['lut-codes', 8],
];

describe.each(FORMS)('%s of %i-bit codes', (method, inputBits) => {
  const q = 2 ** (inputBits - 1);

  test.each([1, 3, 4, 5, 197, 255, 257])('%i columns: rows are padded to words', async (columns) => {
    const next = random(columns);
    const values = Array.from({ length: 3 * columns }, () => Math.floor(next() * 2 * q) - q);
    const given = cover(method, inputBits, 8, columns);
    expectSame(await run(values, given), intGeluReference(values, given));
  });

  test.each([4, 8, 32, 215, 4000])('every code, at range %f', async (range) => {
    const values = Array.from({ length: 2 * q }, (_, i) => i - q);
    const given = cover(method, inputBits, range, 2 * q);
    expectSame(await run(values, given), intGeluReference(values, given));
  });

  test('rows all equal, all at an end, and an outlier of 215 among values of deviation 5', async () => {
    const next = random(4);
    const small = () => Math.round(((next() + next() + next() - 1.5) * 10 * q) / 215);
    const rows = [
      Array<number>(67).fill(3),
      Array<number>(67).fill(0),
      Array<number>(67).fill(-q),
      Array<number>(67).fill(q - 1),
      Array.from({ length: 67 }, (_, i) => (i === 20 ? q - 1 : small())),
      Array.from({ length: 67 }, (_, i) => (i === 66 ? -q : small())),
    ];
    const given = cover(method, inputBits, 215, 67);
    expectSame(await run(rows.flat(), given), intGeluReference(rows.flat(), given));
  });

  test('equals the reference bit for bit at every width, shift and range', async () => {
    const cases = fc.record({
      columns: fc.integer({ min: 1, max: 30 }),
      bits: fc.integer({ min: 2, max: 8 }),
      shift: fc.integer({ min: 0, max: 15 }),
      range: fc.double({ min: 4, max: 300, noNaN: true }),
      seed: fc.nat(1e6),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ columns, bits, shift, range, seed }) => {
        const next = random(seed);
        const values = Array.from({ length: 4 * columns }, () => Math.floor((next() - 0.5) ** 3 * 8 * q));
        const given = cover(method, inputBits, range, columns, bits, shift);
        expectSame(await run(values, given), intGeluReference(values, given));
      }),
      { numRuns: 25, seed: 2 },
    );
  });
});

/** Constants at the end of what is accepted. */
const largestTable = Uint32Array.from({ length: 256 }, (_, i) => (i % 2 === 1 ? 2 ** 22 - 1 : 0));
const multiplied = { multiplier: 2 ** 15 - 1, multiplierShift: 34 };
test.each<[string, Exclude<IntGeluConstants, { method: 'shift' }>]>([
  ['shift-fixed, unit 2^n = 2^15', { method: 'shift-fixed', unit: 2 ** 15, fraction: 0, octaves: 0, ...multiplied }],
  ['shift-fixed, one step an octave', { method: 'shift-fixed', unit: 1, fraction: 0, octaves: 15, ...multiplied }],
  [
    'poly, a factor of 65 535',
    { method: 'poly', fraction: 0, bound: 46340, constant: 2 ** 31 - 1, places: 16, offset: 32767, ...multiplied },
  ],
  ['lut, entries 2^7 codes apart', { method: 'lut', places: 7, table: largestTable, ...multiplied }],
  ['lut, entries 2^8 codes apart and 2^22 high', { method: 'lut', places: 8, table: largestTable, ...multiplied }],
])('the bound holds at its extreme: %s', async (_what, constants) => {
  const given = { columns: 2 ** 16, inputBits: 16, bits: 8, shift: 2, constants } as const;
  const values = Array.from({ length: 2 ** 16 }, (_, i) => i - 2 ** 15);
  expectSame(await run(values, given), intGeluReference(values, given));
});

test.each(['shift-fixed', 'poly', 'lut'] as const)(
  '%s at a step of 244 that its fraction refines 2^20 times',
  async (method) => {
    const given = cover(method, 16, 8e6, 2 ** 16, 8, 4, 8e6 / 127 / 2 ** 4);
    const values = Array.from({ length: 2 ** 16 }, (_, i) => i - 2 ** 15);
    expectSame(await run(values, given), intGeluReference(values, given));
  },
);

test('the GELU of DeiT-Tiny', async () => {
  const next = random(6);
  const values = Array.from({ length: 197 * 768 }, () => Math.floor((next() - 0.5) ** 3 * 2 ** 18));
  const given = cover('lut', 16, 12, 768);
  expectSame(await run(values, given), intGeluReference(values, given));
});

test('refuses what it cannot do, with the number', async () => {
  const good = cover('lut', 16, 8, 3);
  const refused = (change: Partial<Case>) => expect(run([1, 2, 3], { ...good, ...change })).rejects;
  await refused({ bits: 1 }).toThrow('bits must be an integer in 2..8, got 1');
  await refused({ shift: -1 }).toThrow('shift must be an integer in 0..15, got -1');
  await refused({ inputBits: 4 as 8 }).toThrow('inputBits must be 8 or 16, got 4');
  const table = Uint32Array.from({ length: 256 }, () => 2 ** 30);
  const constants = { method: 'lut', places: 0, table, multiplier: 2 ** 14, multiplierShift: 15 } as const;
  await refused({ constants }).toThrow('entry 0 = 1073741824 is too large or too far from the next');
  await refused({ constants: { ...constants, multiplierShift: 63 } }).toThrow('its shift 63 1..46');
  const poly = { method: 'poly', fraction: 0, bound: 40000, constant: 2 ** 31 - 1, places: 14, offset: 9 } as const;
  await refused({ constants: { ...poly, ...multiplied } }).toThrow(
    'a factor of 131081 (offset 9) times an input of 32768',
  );
});

/** Negative levels as fine as the planes allow, positive ones of a log scale. */
const GELU_LEVELS = [-127, -126, -64, -3, 0, 1, 2, 5, 11, 128, 129, 1000, 4095, 4096, 8000, 16256];

describe.each([['shift-fixed'], ['poly'], ['lut']] as ['shift-fixed' | 'poly' | 'lut'][])(
  '%s without twin ranges',
  (method) => {
    test.each([8, 16] as const)('levels of %i-bit codes: two planes of words', async (inputBits) => {
      for (const columns of [1, 3, 4, 5, 257]) {
        const next = random(columns);
        const values = Array.from({ length: 3 * columns }, () => Math.floor((next() - 0.5) * 2 ** inputBits));
        for (const levels of [
          GELU_LEVELS,
          [0, 5],
          [-9],
          Array.from({ length: 256 }, (_, i) => 60 * i - 127 + (i % 3)),
        ]) {
          for (const unit of [0.17 / 127 / 8, 6 / 16256 / 8]) {
            const given = {
              ...cover(method, inputBits, 8, columns, 8, 0, unit),
              codes: { kind: 'levels', levels } as const,
            };
            expectSame(await run(values, given), intGeluReference(values, given));
          }
        }
      }
    });

    test('uniform codes of every width', async () => {
      const values = Array.from({ length: 5 * 67 }, (_, i) => ((i * 7919) % 65536) - 32768);
      for (const bits of [2, 4, 7, 8]) {
        const given = {
          ...cover(method, 16, 8, 67, bits, 0, 8 / 2 ** (bits - 1)),
          codes: { kind: 'uniform' } as const,
        };
        const packed = await run(values, given);
        expectSame(packed, intGeluReference(values, given));
        const codes = new Int8Array(packed.buffer);
        expect(codes.reduce((most, code) => Math.max(most, code), 0)).toBe(2 ** (bits - 1) - 1);
        expect(Math.abs(Math.min(...codes) + 0.167 / (8 / 2 ** (bits - 1)))).toBeLessThan(0.55);
      }
    });
  },
);

test('levels need their table, and methods that have a value before the code', async () => {
  const levels = { kind: 'levels', levels: GELU_LEVELS } as const;
  await expect(run([1], { ...cover('lut-codes', 8, 8, 1), codes: levels })).rejects.toThrow('writes twin codes');
  await expect(run([1], { ...cover('lut', 16, 8, 1), codes: { ...levels, levels: [-128] } })).rejects.toThrow('-128');
});
