import { expect, test } from 'vitest';
import { fakeQuantize, tableEntries, type FakeQuantizeParams } from '../../src/kernels/fakeQuantize.ts';
import { fakeQuantizeReference } from '../../src/reference/fakeQuantize.ts';
import { random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

async function run(source: Float32Array, table: Float32Array, params: FakeQuantizeParams): Promise<Float32Array> {
  const { pool, device } = shared;
  const { candidates, images, heads, rows, depth } = params;
  const at = (batch: number, row: number) =>
    params.offset +
    Math.floor(batch / heads) * params.imageStride +
    (batch % heads) * params.headStride +
    row * params.rowStride;
  const statistics = new Float32Array(4 * images * heads * rows);
  for (let line = 0; line < images * heads * rows; line++) {
    const first = at(Math.floor(line / rows), line % rows);
    for (let d = 0; d < depth; d++) {
      statistics[4 * line] = Math.max(statistics[4 * line]!, Math.abs(source[first + d * params.depthStride]!));
    }
  }
  const buffers = {
    source: uploadInJunk(pool, source, 'source'),
    table: uploadInJunk(pool, table, 'table'),
    statistics: uploadInJunk(pool, statistics, 'statistics'),
  };
  try {
    const bytes = await runInto(pool, candidates * images * heads * rows * depth, async (values) => [
      await fakeQuantize(device, { ...buffers, values }, params),
    ]);
    return new Float32Array(bytes);
  } finally {
    Object.values(buffers).forEach((buffer) => pool.release(buffer));
  }
}

/** Equal but for the last bit, where an adapter may fuse the addition with a multiplication before it. */
function expectClose(actual: Float32Array, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length);
  const at = actual.findIndex((value, i) => Math.abs(value - expected[i]!) > 2 ** -23 * Math.abs(expected[i]!));
  expect(at < 0 ? 'all equal' : `element ${at}: ${actual[at]}, expected ${expected[at]}`).toBe('all equal');
}

const kinds = ['uniform', 'published-softmax', 'signed-ranges', 'per-token'] as const;
type Kind = (typeof kinds)[number];

/** A table row of `bits` for values of deviation 1 (probabilities for softmax); scales differ by group. */
function entry(kind: Kind, bits: number, group: number): number[] {
  const high = 2 ** (bits - 1) - 1;
  const scale = Math.fround((1 + group / 3) * 2 ** (2 - bits));
  if (kind === 'published-softmax') {
    const split = 2 ** -(1 + (group % 4));
    return [Math.fround(split / high), Math.fround(high / split), split, Math.fround(1 / high)];
  }
  if (kind === 'signed-ranges') return [scale, Math.fround(1 / scale), scale / 8, Math.fround(8 / scale)];
  if (kind === 'per-token') return [high + 0.5, Math.fround(1 / (high + 0.5)), 0, 0];
  return [scale, Math.fround(1 / scale), (group % 5) - 2, 0];
}

function source(count: number, kind: Kind, seed: number): Float32Array {
  const next = random(seed);
  return Float32Array.from({ length: count }, (_, i) => {
    if (kind === 'published-softmax') return i % 7 === 0 ? 2 ** -(i % 6) : next() ** 4;
    const tie = (Math.floor(next() * 20) - 10.5) / 16;
    return i % 5 === 0 ? tie : i % 401 === 11 ? 215 : 4 * next() - 2;
  });
}

const shapes = [
  { images: 1, heads: 1, rows: 1, depth: 1 },
  { images: 1, heads: 1, rows: 3, depth: 4 },
  { images: 2, heads: 1, rows: 5, depth: 255 },
  { images: 1, heads: 2, rows: 257, depth: 5 },
  { images: 2, heads: 3, rows: 197, depth: 64 },
];

test.each(kinds.flatMap((kind) => shapes.map((shape) => [kind, shape] as const)))(
  '%s: %o, three candidates, heads apart',
  async (kind, shape) => {
    const bits = kind === 'uniform' ? 8 : 4;
    const high = 2 ** (bits - 1) - 1;
    const depthGroups = shape.depth % 5 === 0 ? 5 : 1;
    const rowGroups = shape.rows === 3 ? 3 : 1;
    const params: FakeQuantizeParams = {
      kind,
      low: -high - 1,
      high,
      candidates: 3,
      ...shape,
      offset: 2,
      imageStride: shape.heads * shape.rows * shape.depth + 1,
      headStride: shape.depth,
      rowStride: shape.heads * shape.depth,
      depthStride: 1,
      rowGroups,
      depthGroups,
      groupPerHead: 1,
    };
    const table = Float32Array.from(
      Array.from({ length: 3 * tableEntries(params) }, (_, group) => entry(kind, bits, group)).flat(),
    );
    const values = source(params.offset + shape.images * params.imageStride, kind, shape.rows + shape.depth);
    const expected = fakeQuantizeReference(values, table, params);
    if (kind !== 'per-token') return expectClose(await run(values, table, params), expected);
    // the row's scale is a quotient: a value at the edge of its cell may take the next code
    const actual = await run(values, table, params);
    const differing = actual.filter((value, i) => Math.abs(value - expected[i]!) > 2 ** -20 * Math.abs(expected[i]!));
    expect(differing.length / actual.length).toBeLessThan(0.001);
  },
);

test('blocks of a weight 6 x 8, read transposed', async () => {
  const params: FakeQuantizeParams = {
    ...{ kind: 'uniform', low: -7, high: 7, candidates: 1, images: 1, heads: 1, rows: 8, depth: 6 },
    ...{ offset: 0, imageStride: 0, headStride: 0, rowStride: 1, depthStride: 8 },
    ...{ rowGroups: 4, depthGroups: 2, groupPerHead: 0 },
  };
  const table = Float32Array.from(
    Array.from({ length: 8 }, (_, group) => {
      return [2 ** -group, 2 ** group, 0, 0];
    }).flat(),
  );
  const values = Float32Array.from({ length: 48 }, () => 0.6);
  const got = await run(values, table, params);
  const expected = (row: number, d: number) => {
    const scale = 2 ** -(2 * Math.floor(row / 2) + Math.floor(d / 3));
    return scale * Math.min(Math.round(0.6 / scale), 7);
  };
  expect([...got]).toEqual(Array.from({ length: 48 }, (_, i) => expected(Math.floor(i / 6), i % 6)));
});

test('the published softmax adds the split to what reaches it; a zero row per token stays zero', async () => {
  const shape = { candidates: 1, images: 1, heads: 1, rows: 1, offset: 0, imageStride: 0, headStride: 0, rowStride: 0 };
  const common = { ...shape, depthStride: 1, rowGroups: 1, depthGroups: 1, groupPerHead: 0, low: -8, high: 7 } as const;
  const softmax = Float32Array.of(0.25 / 7, 28, 0.25, 1 / 7);
  const x = Float32Array.of(0, 0.1, 0.25, 2 / 7, 0.6, 1);
  const got = await run(x, softmax, { ...common, kind: 'published-softmax', depth: 6 });
  // round(0.25 * 7) / 7 = 2 / 7 is added even to 0, as the published code does
  [2 / 7, 2 / 7 + 3 / 28, 2 / 7 + 0.25, 2 / 7 + 0.25, 4 / 7 + 0.25, 1.25].forEach((expected, i) => {
    expect(got[i]).toBeCloseTo(expected, 6);
  });
  const none = await run(new Float32Array(5), Float32Array.of(7.5, 1 / 7.5, 0, 0), {
    ...common,
    kind: 'per-token',
    depth: 5,
  });
  expect([...none]).toEqual([0, 0, 0, 0, 0]);
});

test('refuses what it cannot do, with the number', async () => {
  const params: FakeQuantizeParams = {
    ...{ kind: 'uniform', low: -8, high: 7, candidates: 1, images: 1, heads: 1, rows: 3, depth: 4 },
    ...{ offset: 0, imageStride: 0, headStride: 0, rowStride: 4, depthStride: 1 },
    ...{ rowGroups: 1, depthGroups: 1, groupPerHead: 0 },
  };
  const table = Float32Array.of(1, 1, 0, 0);
  const refused = (changed: Partial<FakeQuantizeParams>) =>
    expect(run(new Float32Array(12), table, { ...params, ...changed })).rejects;
  await refused({ rowGroups: 2 }).toThrow('3 rows do not divide into 2 equal runs');
  await refused({ depthGroups: 3 }).toThrow('a depth of 4 does not divide into 3 equal runs');
  await refused({ high: 0 }).toThrow('high must be');
  await refused({ candidates: 40 }).toThrow('table needs');
});
