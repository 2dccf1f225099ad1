import fc from 'fast-check';
import { expect, test } from 'vitest';
import { int16Words } from '../../src/kernels/int16.ts';
import { intLayerNorm, type IntLayerNormParams } from '../../src/kernels/intLayerNorm.ts';
import { layerNormConstants, type IntLayerNormForm } from '../../src/kernels/layerNormConstants.ts';
import { denseOutput } from '../../src/kernels/requantizedLayout.ts';
import { packRowMajor } from '../../src/reference/codes.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { intLayerNormReference } from '../../src/reference/intLayerNorm.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { randomInt16 } from '../support/int16.ts';

const shared = useGpu();
const forms = ['fixed', 'published'] as const;

interface Operands {
  readonly x: Uint32Array;
  readonly gain: Int32Array<ArrayBuffer>;
  readonly bias: Int32Array<ArrayBuffer>;
}

async function run({ x, gain, bias }: Operands, params: IntLayerNormParams): Promise<Uint32Array> {
  const buffers = {
    x: uploadInJunk(shared.pool, x, 'x'),
    gain: uploadInJunk(shared.pool, new Uint32Array(gain.buffer), 'gain'),
    bias: uploadInJunk(shared.pool, new Uint32Array(bias.buffer), 'bias'),
  };
  try {
    const words = params.rows * Math.ceil(params.features / (params.output === 'int16' ? 2 : 4));
    return new Uint32Array(
      await runInto(shared.pool, words, async (y) => [await intLayerNorm(shared.device, { ...buffers, y }, params)]),
    );
  } finally {
    for (const buffer of Object.values(buffers)) shared.pool.release(buffer);
  }
}

/** Gains of both signs and very different sizes, some next to zero, and biases. */
function constants(form: IntLayerNormForm, features: number, next: () => number, epsilon = 1e-6) {
  const gamma = Array.from({ length: features }, () => (next() - 0.4) * 10 ** (next() < 0.2 ? -9 * next() : 0));
  const beta = Array.from({ length: features }, () => next() - 0.5);
  return layerNormConstants(form, { gamma, beta, epsilon, xScale: 0.018, yScale: 0.03 });
}

/** Rows of normal-ish values of a deviation, with planted outliers. */
function outlierRows(rows: number, features: number, deviation: number, next: () => number): Int16Array<ArrayBuffer> {
  const x = Int16Array.from({ length: rows * features }, () =>
    Math.round((next() + next() + next() + next() - 2) * 1.7 * deviation),
  );
  for (let row = 0; row < rows; row += 2) x[row * features + Math.floor(next() * features)] = 32_222; // 580 / 0.018
  return x;
}

async function expectTwin(
  form: IntLayerNormForm,
  x: Int16Array,
  features: number,
  next: () => number,
  epsilon = 1e-6,
): Promise<void> {
  const made = constants(form, features, next, epsilon);
  const params = { features, form, epsilon: made.epsilon, qmin: -128, qmax: 120 };
  const expected = packRowMajor(intLayerNormReference(x, made, params), x.length / features, features);
  const operands = { ...made, x: packInt16(x, features) };
  expectSame(await run(operands, { ...params, rows: x.length / features }), expected);
}

test.each(forms)('%s: every number of features and rows', async (form) => {
  const next = random(1);
  for (const n of [1, 3, 4, 5, 33, 255, 257]) {
    await expectTwin(form, randomInt16(3 * n, next), n, next);
    await expectTwin(form, randomInt16(n * 6, next), 6, next);
  }
});

test.each(forms)('%s: 16-bit integers', async (form) => {
  const next = random(3);
  for (const features of [1, 3, 4, 5, 96, 257]) {
    const made = { ...constants(form, features, next), x: randomInt16(5 * features, next) };
    const gain = made.gain.map((value, i) => (i % 2 === 1 ? Math.max(1, value - 8) : value)); // steps of 2^-8
    for (const bounds of [{}, { qmin: -3000, qmax: 2999 }]) {
      const params = { features, form, epsilon: made.epsilon, output: 'int16', ...bounds } as const;
      const twin = { qmin: -32768, qmax: 32767, ...params };
      const expected = packInt16(intLayerNormReference(made.x, { gain, bias: made.bias }, twin), features);
      expectSame(
        await run({ gain, bias: made.bias, x: packInt16(made.x, features) }, { ...params, rows: 5 }),
        expected,
      );
    }
  }
});

test.each(forms)('%s: heads with gains of their own, as both operands of Q.K^T', async (form) => {
  const next = random(4);
  const [images, tokens, heads, features] = [2, 5, 3, 8];
  const made = Array.from({ length: heads }, () => constants(form, features, next));
  const gain = Int32Array.from(made.flatMap((head) => [...head.gain]));
  const bias = Int32Array.from(made.flatMap((head) => [...head.bias]));
  const x = randomInt16(images * tokens * heads * features, next);
  const shape = { features, form, epsilon: made[0]!.epsilon, heads };
  const codes = intLayerNormReference(x, { gain, bias }, shape);
  for (const layout of ['left', 'right-transposed'] as const) {
    const { view } = denseOutput(layout, { heads, rows: tokens, columns: features });
    const params = { ...shape, rows: images * tokens * heads, tokens, view };
    const words = await run({ gain, bias, x: packInt16(x, features) }, params);
    const bytes = new Int8Array(words.buffer);
    codes.forEach((code, i) => {
      const [row, feature] = [Math.floor(i / features), i % features];
      const [image, token, head] = [Math.floor(row / heads / tokens), Math.floor(row / heads) % tokens, row % heads];
      const word =
        image * view.imageStride + head * view.headStride + token * view.rowStride + (feature >> 2) * view.columnStride;
      if (bytes[4 * word + (feature % 4)] !== code) expect(`${layout} ${i}`).toBe('the code of its head');
    });
    expect(words).toHaveLength(codes.length / 4);
  }
});

test.each(forms)('%s: a stream of DeiT-Tiny with planted outliers', async (form) => {
  const next = random(2);
  await expectTwin(form, outlierRows(197, 192, 280, next), 192, next);
});

test.each(forms)('%s: the largest and smallest sums of squares there can be', async (form) => {
  const next = random(3);
  const features = 4096;
  const extremes = [-32768, 32767, 0, 1];
  const rows = [
    (i: number) => extremes[i % 2],
    () => -32768,
    () => 32767,
    (i: number) => (i === 0 ? 1 : 0),
    (i: number) => (i === 0 ? -32768 : 32767),
    (i: number) => extremes[Math.floor(next() * 4) + 0 * i],
  ];
  const x = Int16Array.from(
    { length: rows.length * features },
    (_, i) => rows[Math.floor(i / features)]?.(i % features) ?? 0,
  );
  await expectTwin(form, x, features, next);
  await expectTwin(form, x, features, next, 0);
  await expectTwin(form, x, features, next, 0.17); // past 2^32 at this scale: epsilon has a high word
});

test('random rows of every deviation', async () => {
  const cases = fc.tuple(
    fc.constantFrom(...forms),
    fc.integer({ min: 1, max: 80 }),
    fc.constantFrom(0, 0.5, 2, 30, 1000, 9000),
    fc.constantFrom(0, 1e-12, 1e-6, 1e-3),
    fc.integer({ min: 1, max: 1e6 }),
  );
  await fc.assert(
    fc.asyncProperty(cases, async ([form, features, deviation, epsilon, seed]) => {
      const next = random(seed);
      await expectTwin(form, outlierRows(5, features, deviation, next), features, next, epsilon);
    }),
    { numRuns: 40, seed: 4 },
  );
});

test('reads only the class token of every image', async () => {
  const next = random(5);
  const [images, tokens, features] = [3, 4, 7];
  const x = randomInt16(images * tokens * features, next);
  const made = constants('fixed', features, next);
  const words = int16Words(features);
  const all = await run({ ...made, x: packInt16(x, features) }, { ...made, features, rows: images * tokens });
  const some = { ...made, features, rows: images, xOffset: words, xRowStride: tokens * words };
  const found = await run({ ...made, x: packInt16(x, features) }, some);
  expectSame(found, Uint32Array.from([1, 5, 9].flatMap((row) => [...all.subarray(2 * row, 2 * row + 2)])));
});

test('refuses what it cannot do, with the number', async () => {
  const operands = { x: Uint32Array.of(0), gain: Int32Array.of(0, 1), bias: Int32Array.of(0) };
  const good = { rows: 1, features: 1, form: 'fixed', epsilon: 0 } as const;
  await expect(run(operands, { ...good, features: 4097 })).rejects.toThrow('4097 features can overflow');
  await expect(run(operands, { ...good, epsilon: 2 ** 53 })).rejects.toThrow('epsilon must be below 2^53');
  await expect(run(operands, { ...good, qmin: -129 })).rejects.toThrow('qmin -129');
  await expect(run(operands, { ...good, rows: 30 })).rejects.toThrow('x needs 120 bytes');
  const values = { gamma: [1], beta: [0], epsilon: 1e-6, xScale: 0.01, yScale: 0.03 };
  expect(() => layerNormConstants('fixed', { ...values, beta: [5000] })).toThrow('feature 0: a bias of 166666.6');
  expect(() => layerNormConstants('fixed', { ...values, xScale: 0 })).toThrow(
    'xScale must be positive and finite, got 0',
  );
  expect(() => layerNormConstants('fixed', { ...values, epsilon: 1e20 })).toThrow('epsilon 100000000000000000000 is');
});
