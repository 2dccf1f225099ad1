import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matmulCodes } from '../../src/kernels/matmulCodes.ts';
import { levelEntries, planeCodes, quantizeLevels, type LevelTable } from '../../src/kernels/quantizeLevels.ts';
import { packDepthMajor } from '../../src/reference/codes.ts';
import { nearestLevels, quantizeLevelsReference } from '../../src/reference/quantizeLevels.ts';
import { productShape } from '../../src/quantize/productShape.ts';
import { expectSame, random, randomCodes, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

/** Codes of all candidates, of one operand and width; the source lies behind 3 elements of something else. */
async function run(values: Float32Array, depth: number, candidates: readonly LevelTable[]): Promise<Uint32Array> {
  const inside = new Float32Array(values.length + 3).fill(0.77);
  inside.set(values, 3);
  const entries = candidates.map(levelEntries);
  const inputs = {
    source: uploadInJunk(shared.pool, inside, 'values'),
    thresholds: uploadInJunk(shared.pool, Float32Array.from(entries.flatMap((e) => e.thresholds)), 'thresholds'),
    planes: uploadInJunk(shared.pool, Uint32Array.from(entries.flatMap((e) => e.planes)), 'planes'),
  };
  const rows = values.length / depth;
  const { bits } = candidates[0] as LevelTable;
  const params = { candidates: candidates.length, rows, depth, bits, offset: 3 };
  const words = 2 * candidates.length * rows * Math.ceil(depth / 4);
  try {
    const bytes = await runInto(shared.pool, words, async (codes) => [
      await quantizeLevels(shared.device, { ...inputs, codes }, params),
    ]);
    return new Uint32Array(bytes);
  } finally {
    for (const buffer of Object.values(inputs)) shared.pool.release(buffer);
  }
}

const expected = (values: Float32Array, depth: number, candidates: readonly LevelTable[]) =>
  Uint32Array.from(candidates.flatMap((table) => [...quantizeLevelsReference(values, depth, table)]));

const HALF_STEPS = [0, 90, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096, 5793, 8192, 11585];
const softmax: LevelTable = { operand: 'softmax', bits: 4, step: 2 ** -14, levels: HALF_STEPS };
const gelu: LevelTable = { operand: 'gelu', bits: 4, step: 0.25, levels: [-127, -64, -1, 0, 1, 127, 128, 129, 16256] };

describe('a value and its planes', () => {
  test.each([
    ['zero', 0, 0, 0],
    ['just below the midpoint of 0 and 90', 45 * 2 ** -14 * (1 - 2 ** -24), 0, 0],
    ['the midpoint takes the upper level', 45 * 2 ** -14, 0, 90],
    ['a level above one plane: 181 = 128 + 53', 181 * 2 ** -14, 0x81, 53],
    ['one saturates at the last level: 11585 = 90 * 128 + 65', 1, 0x80 + 90, 65],
    ['what no softmax writes saturates too', -3e38, 0, 0],
    ['the largest f32', 3.4028234663852886e38, 0x80 + 90, 65],
  ])('softmax: %s', async (_what, x, upper, lower) => {
    expect([...(await run(Float32Array.of(x), 1, [softmax]))]).toEqual([upper, lower]);
  });

  test.each([
    ['the lowest', -1e9, 0, 127],
    ['-1', -0.25, 0, 1],
    ['the midpoint of -1 and 0 is 0', -0.125, 0, 0],
    ['127 = 128 - 1', 127 * 0.25, 0x81, 1],
    ['128', 32, 0x81, 0],
    ['129 = 256 - 127', 129 * 0.25, 0x82, 127],
    ['the largest that two planes hold', 1e9, 0xff, 0],
  ])('gelu: %s', async (_what, x, upper, lower) => {
    expect([...(await run(Float32Array.of(x), 1, [gelu]))]).toEqual([upper, lower]);
  });

  test('planes hold every integer of their range, and only 0 is two zeros', () => {
    for (const [operand, sign, low, high] of [
      ['softmax', 1, 0, 16383],
      ['gelu', -1, -127, 16256],
    ] as const) {
      for (let level = low; level <= high; level++) {
        const { upper, lower } = planeCodes(level, operand);
        expect(upper === 0 || (upper > 0x80 && upper < 0x100)).toBe(true);
        expect(lower >= 0 && lower < 0x80).toBe(true);
        expect(128 * (upper & 0x7f) + sign * lower).toBe(level);
      }
    }
  });
});

test.each([1, 3, 4, 5, 197, 255, 257])('depth %i: both planes of a row are padded to words', async (depth) => {
  const values = Float32Array.from({ length: 3 * depth }, (_, i) => (i % 97) / 96);
  const tables = [softmax, { ...softmax, step: 2 ** -12 }];
  expectSame(await run(values, depth, tables), expected(values, depth, tables));
});

test('the attention of DeiT-Tiny at 8 bits, 5 candidates', async () => {
  const values = Float32Array.from({ length: 3 * 197 * 197 }, (_, i) => ((i * 7919) % 4099) ** 4 / 4099 ** 4);
  const levels = Array.from({ length: 255 }, (_, i) => i + Math.floor((i / 255) ** 3 * 16000));
  const tables = [0.2, 0.5, 0.7, 1, 1.1].map((scale): LevelTable => {
    return { operand: 'softmax', bits: 8, step: Math.fround(scale / 16255), levels };
  });
  expectSame(await run(values, 197, tables), expected(values, 197, tables));
});

/** Tables of one width and operand, and values of which most lie on a threshold or beside it. */
const cases = fc
  .record({ operand: fc.constantFrom('softmax' as const, 'gelu' as const), bits: fc.integer({ min: 2, max: 8 }) })
  .chain(({ operand, bits }) => {
    const [low, high] = operand === 'softmax' ? [0, 16_383] : [-127, 16_256];
    const near = fc.integer({ min: low, max: Math.min(high, 300) });
    const levels = fc
      .uniqueArray(fc.oneof(near, fc.integer({ min: low, max: high })), { minLength: 1, maxLength: 2 ** bits })
      .map((all) => all.sort((a, b) => a - b));
    const step = fc.double({ min: 1e-6, max: 3, noNaN: true }).map(Math.fround);
    const table = fc.record({ operand: fc.constant(operand), bits: fc.constant(bits), step, levels });
    return fc.array(table, { minLength: 1, maxLength: 3 }).chain((tables) => {
      const thresholds = tables.flatMap((each) => levelEntries(each).thresholds.slice(0, each.levels.length - 1));
      const value = fc.constantFrom(0, 1, ...thresholds).chain((t) => {
        return fc.constantFrom(t, t * (1 - 2 ** -24), t * (1 + 2 ** -23), t + 1e-3, -t);
      });
      const values = fc.array(fc.oneof(value, fc.double({ min: -1, max: 50, noNaN: true })), {
        minLength: 1,
        maxLength: 99,
      });
      return values.map((x) => ({ values: Float32Array.from(x), tables }));
    });
  });

test('equals the reference bit for bit at every width', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ values, tables }) => {
      expectSame(await run(values, values.length, tables), expected(values, values.length, tables));
    }),
    { numRuns: 60, seed: 1 },
  );
});

/** Codes of B written twice along the depth, against sums of BigInt from the levels alone. */
test.each([
  ['softmax', 5],
  ['softmax', 8],
  ['gelu', 7],
  ['gelu', 12],
] as const)('%s, depth %i: the integer product is the sum of levels times B', async (operand, depth) => {
  const [rows, columns] = [9, 17];
  const next = random(depth);
  const levels =
    operand === 'softmax' ? [0, 1, 127, 128, 129, 255, 8000, 16383] : [-127, -3, 0, 1, 127, 128, 16255, 16256];
  const table = { type: 'levels', family: 'log2', operand, bits: 3, step: 0.5, levels } as const;
  const values = Float32Array.from({ length: rows * depth }, () => 0.5 * (levels[Math.floor(8 * next())] as number));
  const b = randomCodes(columns * depth, 8, next);
  b.fill(-128, 0, depth);
  const words = packDepthMajor(b, columns, depth);
  const shape = productShape(depth, table);
  const scope = shared.pool.scope();
  const buffers = {
    a: uploadInJunk(shared.pool, await run(values, depth, [table]), 'a'),
    b: uploadInJunk(shared.pool, Uint32Array.from([...words, ...words]), 'b'),
    scales: scope.upload(new Float32Array(columns), 'scales'),
    bias: null,
  };
  const bytes = await runInto(shared.pool, rows * columns, async (y) => [
    await matmulCodes(
      shared.device,
      { ...buffers, y },
      {
        images: 1,
        heads: 1,
        rows,
        depth: shape.depth,
        columns,
        aKind: shape.kind,
        aBits: shape.bits,
        aReach: shape.reach,
        shift: shape.shift,
        bBatchStride: 0,
        scaleHeadStride: 0,
        scaleColumnStride: 1,
        output: { offset: 0, imageStride: 0, headStride: 0, rowStride: columns },
        outputType: 'i32',
      },
    ),
  ]);
  const chosen = nearestLevels(values, table);
  const sums = Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = 0n;
    for (let d = 0; d < depth; d++) {
      sum += BigInt(chosen[row * depth + d] as number) * BigInt(b[column * depth + d] as number);
    }
    return Number(sum);
  });
  expectSame(new Int32Array(bytes), Int32Array.from(sums));
  shared.pool.release(buffers.a);
  shared.pool.release(buffers.b);
  scope.release();
});

describe('refuses what it cannot do, with the number', () => {
  test.each<[string, Partial<LevelTable>, string]>([
    ['a width', { bits: 9 }, 'bits must be an integer in 2..8, got 9'],
    ['too many levels', { bits: 3 }, '3 bits hold 1 to 8 levels, got 16'],
    ['no levels', { levels: [] }, '4 bits hold 1 to 16 levels, got 0'],
    ['a level of three planes', { levels: [0, 16384] }, 'levels of softmax are integers in 0..16383, got 16384'],
    ['a negative probability', { levels: [-1, 0] }, 'levels of softmax are integers in 0..16383, got -1'],
    ['half a level', { levels: [0, 0.5] }, 'levels of softmax are integers in 0..16383, got 0.5'],
    ['a level twice', { levels: [0, 7, 7] }, 'levels must ascend, got 7 before 7'],
  ])('%s', async (_what, change, message) => {
    await expect(run(Float32Array.of(1), 1, [{ ...softmax, ...change }])).rejects.toThrow(message);
  });

  test('a gelu level below the lower plane', async () => {
    await expect(run(Float32Array.of(1), 1, [{ ...gelu, levels: [-128, 0] }])).rejects.toThrow(
      'levels of gelu are integers in -127..16256, got -128',
    );
  });
});
