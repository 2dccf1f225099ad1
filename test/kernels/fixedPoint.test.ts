import fc from 'fast-check';
import { expect, test } from 'vitest';
import library from '../../shaders/lib_fixed_point.wgsl?raw';
import { prepare, type Kernel } from '../../src/gpu/kernel.ts';
import { integerRoot, saturatingAdd16 } from '../../src/reference/fixedPoint.ts';
import { random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { rescaleArguments, rescaleOracle } from '../support/fixedPoint.ts';

const shared = useGpu();

/** A kernel of this test: word pairs `expression(a, b, c)` for triples of words a, b, c. Its name is its key in the cache. */
function probe(expression: string): Kernel<'x' | 'y', 'count'> {
  const name = `probe_${expression.replace(/\W+/g, '_')}`;
  const wgsl = `
    struct Params { count: u32 }
    @group(0) @binding(0) var<storage, read> x: array<u32>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec2<u32>>;
    @group(0) @binding(2) var<uniform> params: Params;
    @compute @workgroup_size(64) fn ${name}(@builtin(global_invocation_id) id: vec3<u32>) {
      if (id.x >= params.count) { return; }
      let a = x[3u * id.x];
      let b = x[3u * id.x + 1u];
      let c = x[3u * id.x + 2u];
      y[id.x] = ${expression};
    }`;
  return {
    name,
    wgsl: `${wgsl}\n${library}`,
    bindings: { x: 'read', y: 'read_write' },
    params: { count: 'u32' },
    overrides: {},
  };
}

/** The library's answers to many triples, as big integers `low + high * 2^32`. */
async function answers(expression: string, triples: readonly (readonly number[])[]): Promise<bigint[]> {
  const x = uploadInJunk(
    shared.pool,
    Uint32Array.from(triples.flat(), (value) => value >>> 0),
    'x',
  );
  const grid = [Math.ceil(triples.length / 64), 1, 1] as const;
  try {
    const bytes = await runInto(shared.pool, 2 * triples.length, async (y) => [
      await prepare(shared.device, probe(expression), { x, y }, { count: triples.length }, grid),
    ]);
    return [...new BigUint64Array(bytes)];
  } finally {
    shared.pool.release(x);
  }
}

/** Fails at the first triple whose answer is not that of `oracle`, modulo 2^64. */
async function expectAnswers(
  expression: string,
  triples: readonly (readonly number[])[],
  oracle: (...triple: number[]) => bigint,
): Promise<void> {
  const found = await answers(expression, triples);
  const wrong = triples.findIndex((triple, i) => BigInt.asUintN(64, oracle(...triple)) !== found[i]);
  expect(wrong < 0 ? 'all equal' : `${triples[wrong]?.join(', ')}: ${found[wrong]}`).toBe('all equal');
}

const signed = (call: string) => `vec2<u32>(u32(${call}), u32(${call} >> 31u))`;
const wide = (low: number, high: number) => BigInt(low) + (BigInt(high) << 32n);
const int32 = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.integer({ min: -70_000, max: 70_000 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, -(2 ** 30), 2 ** 30, -32769, 32768),
);
const uint32 = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.integer({ min: 0, max: 2 ** 17 }),
  fc.constantFrom(2 ** 32 - 1, 2 ** 31, 2 ** 31 - 1, 65536, 65535, 1, 0),
);
const triples = <T extends readonly number[]>(arbitrary: fc.Arbitrary<T>, seed: number, count = 20_000) =>
  fc.sample(arbitrary, { numRuns: count, seed }).map((values) => [...values, 0, 0].slice(0, 3));

test.each([8, 16] as const)('rescaling to %i bits is exact for every accumulator', async (width) => {
  const call = signed(`dyadic_rescale_${width}(i32(a), b, c)`);
  await expectAnswers(call, triples(rescaleArguments(width), width), (acc = 0, multiplier = 0, shift = 0) =>
    rescaleOracle(acc, multiplier, shift),
  );
});

test('rescaling to int16 is exact up to 2^17 and past it beyond, for every accumulator and shift', async () => {
  const all = triples(rescaleArguments('int16'), 9, 40_000).filter(([acc = 0]) => acc !== -(2 ** 31));
  const around = all.map(([acc = 0, multiplier = 0, shift = 0]) => {
    return [Math.round((acc / 2 ** 31) * 2 ** Math.min(31, shift + 5)), multiplier, shift];
  });
  const cut = (x: bigint) => (x < -131072n ? -131072n : x > 131072n ? 131072n : x);
  const call = signed('clamp(dyadic_rescale_int16(i32(a), b, c), -131072i, 131072i)');
  await expectAnswers(call, [...all, ...around], (acc = 0, multiplier = 0, shift = 0) =>
    cut(rescaleOracle(acc, multiplier, shift)),
  );
});

test('rescaling a term is exact for every 16-bit integer', async () => {
  const all = Array.from({ length: 17 }, (_, i) => 14 + i).flatMap((shift) =>
    triples(
      fc.tuple(fc.integer({ min: -32768, max: 32767 }), fc.integer({ min: 2 ** 14, max: 2 ** 15 - 1 })),
      shift,
      2000,
    )
      .concat([
        [-32768, 32767, 0],
        [32767, 32767, 0],
      ])
      .map(([x = 0, multiplier = 0]) => [x, multiplier, shift]),
  );
  await expectAnswers(signed('dyadic_rescale_term(i32(a), b, c)'), all, (x = 0, multiplier = 0, shift = 0) =>
    rescaleOracle(x, multiplier, shift),
  );
});

test('rescaling to 8 bits is exact for every accumulator of 16 bits at a shift that ties', async () => {
  const all = Array.from({ length: 2 ** 16 }, (_, i) => [i - 2 ** 15, 2 ** 14 + 2 ** 11, 20]);
  await expectAnswers(signed('dyadic_rescale_8(i32(a), b, c)'), all, (acc = 0, multiplier = 0, shift = 0) =>
    rescaleOracle(acc, multiplier, shift),
  );
});

test('sums of 16 bits saturate', async () => {
  const call = signed('saturating_add_16(i32(a), i32(b))');
  await expectAnswers(call, triples(fc.tuple(int32, int32), 1), (a = 0, b = 0) => BigInt(saturatingAdd16(a, b)));
});

test('all 16-bit integers survive packing', async () => {
  const all = Array.from({ length: 2 ** 16 }, (_, i) => [i, 65535 - i, 0]);
  const call = `vec2<u32>(pack_2xi16(unpack_2xi16(a | (b << 16u))), u32(unpack_2xi16(a).x))`;
  await expectAnswers(call, all, (a = 0, b = 0) => wide((a | (b << 16)) >>> 0, ((a << 16) >> 16) >>> 0));
});

test('division rounds down', async () => {
  const pairs = triples(fc.tuple(int32, uint32), 2).map(([a = 0, b = 0]) => [a, Math.max(b, 1), 0]);
  await expectAnswers(signed('floor_divide(i32(a), b)'), pairs, (a = 0, b = 1) => BigInt(Math.floor(a / b)));
});

test('roots are exact below 2^16, around every square and at the end', async () => {
  const small = Array.from({ length: 2 ** 16 }, (_, i) => [i, 0, 0]);
  const around = Array.from({ length: 2 ** 16 }, (_, i) => [
    [Math.max(0, i * i - 1), 0, 0],
    [i * i, 0, 0],
  ]).flat();
  const cases = [...small, ...around, [2 ** 32 - 1, 0, 0]];
  await expectAnswers('vec2<u32>(isqrt(a), bit_length(a))', cases, (a = 0) =>
    wide(Number(integerRoot(BigInt(a))), a === 0 ? 0 : a.toString(2).length),
  );
});

test('64-bit sums, differences, products and shifts are those of big integers', async () => {
  const all = triples(fc.tuple(uint32, uint32, uint32), 3);
  await expectAnswers('wide_multiply(a, b)', all, (a = 0, b = 0) => BigInt(a) * BigInt(b));
  await expectAnswers('wide_add(wide_multiply(a, b), vec2<u32>(c, b))', all, (a = 0, b = 0, c = 0) => {
    return BigInt(a) * BigInt(b) + wide(c, b);
  });
  await expectAnswers('wide_subtract(vec2<u32>(c, b), vec2<u32>(a, b / 2u))', all, (a = 0, b = 0, c = 0) => {
    return wide(c, b) - wide(a, Math.floor(b / 2));
  });
  const shifts = all.map(([a = 0, b = 0, c = 0]) => [a, b, c % 64]);
  await expectAnswers('wide_shift_left(vec2<u32>(a, b), c)', shifts, (a = 0, b = 0, c = 0) => wide(a, b) << BigInt(c));
});

test('64-bit quotients are exact while they fit 32 bits', async () => {
  const all = triples(fc.tuple(uint32, uint32, uint32), 4)
    .map(([low = 0, high = 0, divisor = 0]) => [low, high, Math.max(1, divisor % 2 ** 31)])
    .map(([low = 0, high = 0, divisor = 1]) => [low, high % divisor, divisor]);
  await expectAnswers('vec2<u32>(wide_divide(vec2<u32>(a, b), c), 0u)', all, (low = 0, high = 0, divisor = 1) => {
    return wide(low, high) / BigInt(divisor);
  });
});

test('64-bit roots are exact below 2^60, next to squares too', async () => {
  const next = random(5);
  const roots = Array.from({ length: 10_000 }, () => BigInt(Math.floor(next() * 2 ** (31 * next()))) % 2n ** 30n);
  const squares = [0n, 1n, 2n ** 30n - 1n, ...roots].flatMap((root) => [root * root, root * root + 2n * root]);
  const cases = squares.map((x) => [Number(BigInt.asUintN(32, x)), Number(x >> 32n), 0]);
  await expectAnswers('vec2<u32>(wide_isqrt(vec2<u32>(a, b)), 0u)', cases, (a = 0, b = 0) => integerRoot(wide(a, b)));
});
