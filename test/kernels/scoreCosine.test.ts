import { describe, expect, test } from 'vitest';
import { scoreCosine, type ScoreCosineParams } from '../../src/kernels/scoreCosine.ts';
import { scoreCosineReference } from '../../src/reference/scoreCosine.ts';
import { expectSame, random, runInto } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { scoreCase, uploadScoreCase, type ScoreCase, type ScoreCaseShape } from '../support/scoreCase.ts';

const shared = useGpu();

async function run(given: ScoreCase, parts: number, change: Partial<ScoreCosineParams> = {}): Promise<Float32Array> {
  const { buffers, release } = uploadScoreCase(shared.pool, given);
  const params = { ...given.params, parts, variant: 'plain' as const, ...change };
  const { candidates, images, heads, rows } = params;
  try {
    const bytes = await runInto(shared.pool, candidates * images * heads * rows * parts, async (cosines) => [
      await scoreCosine(shared.device, { ...buffers, cosines }, params),
    ]);
    return new Float32Array(bytes);
  } finally {
    release();
  }
}

/** The cosines of the double reference, and the same bits whatever the workgroup. */
async function expectCosines(shape: ScoreCaseShape, parts = 1): Promise<void> {
  const given = scoreCase(shape);
  const cosines = await run(given, parts, { lanes: 32 });
  expectSame(await run(given, parts, { lanes: 16 }), cosines);
  const expected = scoreCosineReference(given.data, { ...given.params, parts });
  expect(cosines.length).toBe(expected.length);
  const worst = expected.reduce((error, value, i) => Math.max(error, Math.abs((cosines[i] as number) - value)), 0);
  expect(worst).toBeLessThan(4e-6);
}

test.each([1, 3, 4, 5, 7, 8, 9, 255, 257])('%i rows: none is lost', async (rows) => {
  await expectCosines({ rows, depth: 5, columns: 6, candidates: 2, seed: rows });
});

test.each([1, 3, 4, 5, 31, 33, 63, 65, 127, 129, 255, 257])(
  '%i columns: none is lost, none is invented',
  async (columns) => {
    await expectCosines({ rows: 3, depth: 7, columns, candidates: 3, seed: columns });
  },
);

test.each(['twin-softmax', 'twin-gelu'] as const)('%s: each candidate has its own shift', async (aKind) => {
  await expectCosines({ rows: 10, depth: 13, columns: 17, candidates: 6, heads: 2, aKind, aBits: 8 });
  await expectCosines({ rows: 10, depth: 13, columns: 17, candidates: 6, heads: 2, aKind, aBits: 4 });
});

test.each([
  ['qkv', 3, { rows: 197, depth: 192, columns: 576, candidates: 2, sharedB: true, candidatesDifferIn: 'b' }],
  ['fc2', 1, { rows: 197, depth: 768, columns: 192, candidates: 2, aKind: 'twin-gelu', maxShift: 7 }],
  ['head', 1, { rows: 1, depth: 192, columns: 1000, candidates: 3, images: 3, sharedB: true }],
  ['scores', 1, { rows: 197, depth: 64, columns: 197, candidates: 2, images: 2, heads: 3, candidatesDifferIn: 'a' }],
  ['values', 1, { rows: 197, depth: 197, columns: 64, candidates: 2, heads: 3, aKind: 'twin-softmax', maxShift: 9 }],
] as [string, number, ScoreCaseShape][])('%s of DeiT-Tiny in %i parts', async (_name, parts, shape) => {
  await expectCosines(shape, parts);
});

/** Pearson's correlations of the double reference, and the same bits whatever the workgroup. */
async function expectCorrelations(given: ScoreCase, parts: number): Promise<void> {
  const correlations = await run(given, parts, { lanes: 32, metric: 'pearson' });
  expectSame(await run(given, parts, { lanes: 16, metric: 'pearson' }), correlations);
  const expected = scoreCosineReference(given.data, { ...given.params, parts, metric: 'pearson' });
  expect(correlations.length).toBe(expected.length);
  const worst = expected.reduce((error, value, i) => Math.max(error, Math.abs((correlations[i] as number) - value)), 0);
  expect(worst).toBeLessThan(2e-5);
}

describe('pearson', () => {
  test.each([3, 4, 5, 31, 33, 63, 65, 127, 129, 255, 257])('%i columns in 1, 2 and 3 parts', async (columns) => {
    for (const parts of [1, 2, 3]) {
      const shape = { rows: 3, depth: 7, columns: parts * columns, candidates: 3, heads: 2, seed: columns };
      await expectCorrelations(scoreCase(shape), parts);
    }
  });

  test('scores of DeiT-Tiny', async () => {
    const shape = { rows: 197, depth: 64, columns: 197, candidates: 2, heads: 3 };
    await expectCorrelations(scoreCase({ ...shape, candidatesDifferIn: 'a' }), 1);
  });

  test('a mean that is hundreds of times the deviation does not cancel', async () => {
    const given = scoreCase({ rows: 5, depth: 21, columns: 131, candidates: 2 });
    const mean = 2e4;
    given.data.bias?.forEach((value, i, all) => (all[i] = value + mean));
    given.data.y.forEach((value, i, all) => (all[i] = value + mean));
    const correlations = await run(given, 1, { metric: 'pearson' });
    const expected = scoreCosineReference(given.data, { ...given.params, parts: 1, metric: 'pearson' });
    expected.forEach((value, i) => expect(Math.abs((correlations[i] as number) - value)).toBeLessThan(1e-3));
    const [cosine] = await run(given, 1);
    expect(cosine).toBeGreaterThan(0.99);
    expect(Math.min(...expected)).toBeLessThan(0.99);
  });

  test('a constant row correlates with nothing: 0', async () => {
    const given = scoreCase({ rows: 3, depth: 8, columns: 5 });
    const { offset, rowStride } = given.params.y;
    given.data.y.fill(7.3, offset + rowStride, offset + rowStride + 5);
    const correlations = await run(given, 1, { metric: 'pearson' });
    expect(correlations[1]).toBe(0);
    expect(Math.abs(correlations[0] as number)).toBeGreaterThan(0.1);
  });
});

test('a part sees only its own columns', async () => {
  await expectCosines({ rows: 9, depth: 8, columns: 399, candidates: 2 }, 3);
});

test('a row of zeros has cosine 0', async () => {
  const given = scoreCase({ rows: 3, depth: 8, columns: 5 });
  const { offset, rowStride } = given.params.y;
  given.data.y.fill(0, offset + rowStride, offset + rowStride + 5);
  const cosines = await run(given, 1);
  expect(cosines[1]).toBe(0);
  expect(cosines[0]).not.toBe(0);
});

test.each(['a', 'b', 'both'] as const)('candidates that differ in %s, weights shared by the images', async (differ) => {
  await expectCosines(
    { rows: 11, depth: 9, columns: 201, candidates: 3, images: 2, sharedB: true, candidatesDifferIn: differ },
    3,
  );
});

test('a chunk of images and candidates gives the bits of the whole', async () => {
  const [parts, rows, heads, images] = [2, 11, 2, 3];
  const given = scoreCase({ rows, depth: 20, columns: 140, candidates: 4, images, heads, aKind: 'twin-softmax' });
  const whole = await run(given, parts);
  const { params, data } = given;
  // Image 1 of candidates 2 and 3 as a dispatch of its own.
  const [image, candidate] = [1, 2];
  const words = 5;
  const aFirst = candidate * params.aCandidateStride + image * heads * rows * words;
  const bFirst = candidate * params.bCandidateStride + image * heads * params.bBatchStride;
  const some: ScoreCase = {
    ...given,
    data: {
      ...data,
      a: data.a.slice(aFirst),
      b: data.b.slice(bFirst),
      scales: data.scales.slice(candidate * params.scaleCandidateStride),
      shifts: data.shifts?.slice(candidate) ?? null,
    },
    params: {
      ...params,
      candidates: 2,
      images: 1,
      y: { ...params.y, offset: params.y.offset + image * params.y.imageStride },
    },
  };
  const chunk = await run(some, parts);
  const size = heads * rows * parts;
  for (let c = 0; c < 2; c++) {
    const first = ((candidate + c) * images + image) * size;
    expectSame(chunk.slice(c * size, (c + 1) * size), whole.slice(first, first + size));
  }
});

test('the sums are taken by class of columns: column modulo 32, in column order, then the classes in index order', async () => {
  // The products are exact in f32. Columns 64 to 127 cancel 0 to 63, so that the dot product is what rounding, hence the order, left.
  const columns = 129;
  const given = scoreCase({ rows: 2, depth: 1, columns });
  const { data, params } = given;
  const next = random(7);
  const y = Float32Array.from({ length: columns }, () => Math.round(254 * next() - 127) * 2 ** Math.floor(21 * next()));
  y.set(
    y.subarray(0, 64).map((value) => -value),
    64,
  );
  data.y.set(y, params.y.offset + params.y.rowStride);
  data.a.fill(1);
  data.b.copyWithin(64, 0, 64);
  data.scales.fill(1);
  data.bias?.fill(0);
  const yHat = Int8Array.from(data.b, (word) => word); // the first byte of a word: depth is 1
  const f = Math.fround;
  const classes = Array.from({ length: 32 }, () => ({ dot: 0, power: 0, powerHat: 0 }));
  y.forEach((value, i) => {
    const sums = classes[i % 32] as (typeof classes)[0];
    const other = yHat[i] as number;
    sums.dot = f(sums.dot + value * other);
    sums.power = f(sums.power + value * value);
    sums.powerHat = f(sums.powerHat + other * other);
  });
  const total = (of: keyof (typeof classes)[0]) => classes.reduce((sum, each) => f(sum + each[of]), 0);
  const expected = total('dot') / Math.sqrt(total('power')) / Math.sqrt(total('powerHat'));
  const cosines = await run(given, 1);
  expect(Math.abs((cosines[1] as number) / expected - 1)).toBeLessThan(16 * 2 ** -24);
});

test('folds a grid that x alone cannot hold', async () => {
  const given = scoreCase({ rows: 1, depth: 1, columns: 2, candidates: 65537, candidatesDifferIn: 'b' });
  const expected = scoreCosineReference(given.data, { ...given.params, parts: 1 });
  const cosines = await run(given, 1);
  const worst = expected.reduce((error, value, i) => Math.max(error, Math.abs((cosines[i] as number) - value)), 0);
  expect(worst).toBeLessThan(4e-6);
});

test('refuses what it cannot do, with the number', async () => {
  const given = scoreCase({ rows: 2, depth: 4, columns: 4 });
  await expect(run(given, 3)).rejects.toThrow('4 columns do not divide into 3 equal parts');
  await expect(run(given, 1, { aKind: 'twin-gelu' })).rejects.toThrow('codes of kind twin-gelu need the shifts');
});
