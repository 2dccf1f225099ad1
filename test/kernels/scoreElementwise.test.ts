import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scoreElementwise, type ScoreElementwiseParams } from '../../src/kernels/scoreElementwise.ts';
import { candidateOutput, scoreElementwiseReference } from '../../src/reference/scoreElementwise.ts';
import { expectSame, runInto } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { scoreCase, uploadScoreCase, type ScoreCase, type ScoreCaseShape } from '../support/scoreCase.ts';

const shared = useGpu();
type Metric = ScoreElementwiseParams['metric'];

async function run(
  given: ScoreCase,
  metric: Metric,
  change: Partial<ScoreElementwiseParams> = {},
): Promise<Float32Array> {
  const { buffers, gradient, release } = uploadScoreCase(shared.pool, given);
  const params = { ...given.params, gradient: given.gradientView, metric, variant: 'plain' as const, ...change };
  const { candidates, images, heads, rows, columns } = params;
  const words = candidates * images * heads * Math.ceil(rows / 32) * columns;
  try {
    const bytes = await runInto(shared.pool, words, async (partials) => [
      await scoreElementwise(
        shared.device,
        { ...buffers, gradient: metric === 'hessian' ? gradient : null, partials },
        params,
      ),
    ]);
    return new Float32Array(bytes);
  } finally {
    release();
  }
}

/**
 * The sum of all partials within 1e-5 of the double one. A partial is sum (w e)^2 over at most 32 rows with |w| <= 1 and e off by
 * four roundings of an output, so it is off by at most 2 sqrt(partial) sqrt(32) 2^-22 |y|, and by 40 roundings of the sum.
 */
function expectClose(actual: Float32Array, expected: Float64Array, largest: number): void {
  expect(actual.length).toBe(expected.length);
  let [total, expectedTotal, worst] = [0, 0, 0];
  actual.forEach((value, i) => {
    const e = expected[i] as number;
    const step = Math.sqrt(32) * 2 ** -22 * largest;
    worst = Math.max(worst, Math.abs(value - e) / (2 * Math.sqrt(e) * step + step * step + 40 * 2 ** -24 * e));
    total += value;
    expectedTotal += e;
  });
  expect(worst).toBeLessThan(1);
  expect(Math.abs(total / expectedTotal - 1)).toBeLessThan(1e-5);
}

async function expectScores(shape: ScoreCaseShape, metrics: readonly Metric[] = ['hessian', 'mse']): Promise<void> {
  const given = scoreCase(shape);
  for (const metric of metrics) {
    const expected = scoreElementwiseReference(given.data, { ...given.params, metric, gradient: given.gradientView });
    const scores = await run(given, metric, { lanes: 32 });
    expectClose(scores, expected, given.largest);
    expectSame(await run(given, metric, { lanes: 16 }), scores);
  }
}

test.each([1, 3, 4, 5, 31, 32, 33, 255, 257])('%i rows: groups of 32, no tail is lost', async (rows) => {
  await expectScores({ rows, depth: 5, columns: 3, candidates: 2, seed: rows });
});

test.each([1, 3, 4, 5, 63, 65, 129, 255, 257])('%i columns', async (columns) => {
  await expectScores({ rows: 3, depth: 7, columns, candidates: 2, seed: columns });
});

test.each(['a', 'b', 'both'] as const)('candidates that differ in %s, weights shared by the images', async (differ) => {
  await expectScores({
    rows: 35,
    depth: 9,
    columns: 66,
    candidates: 3,
    images: 2,
    sharedB: true,
    candidatesDifferIn: differ,
  });
});

/** What one rounding of an error may change in a score, next to the score itself: its weight times the error, or the weight. */
function expectWithin(actual: Float32Array, given: ScoreCase, metric: Metric): void {
  const { data, params, largest, gradientView } = given;
  const expected = scoreElementwiseReference(data, { ...params, metric, gradient: gradientView });
  // e is off by step, so |e| by step, w^2 e^2 by 2 w^2 |e| step: with Cauchy over the 32 rows as in `expectClose`.
  const step = Math.sqrt(32) * 2 ** -22 * largest;
  const weight = { 'linear-weighted-mse': largest, 'square-weighted-mse': largest ** 2 }[metric as string] ?? 1;
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  actual.forEach((value, i) => {
    const e = expected[i] as number;
    const off = metric === 'l1' ? Math.sqrt(32) * step : 2 * Math.sqrt(weight * e) * step + weight * step * step;
    worst = Math.max(worst, Math.abs(value - e) / (off + 40 * 2 ** -24 * e));
  });
  expect(worst).toBeLessThan(1);
}

describe.each(['l1', 'linear-weighted-mse', 'square-weighted-mse'] as const)('%s', (metric) => {
  test.each([1, 3, 4, 5, 33, 255, 257])('%i rows, and as many columns', async (size) => {
    for (const shape of [
      { rows: size, depth: 5, columns: 3 },
      { rows: 3, depth: 7, columns: size },
    ]) {
      const given = scoreCase({ ...shape, candidates: 2, heads: 2, seed: size });
      const scores = await run(given, metric, { lanes: 32 });
      expectWithin(scores, given, metric);
      expectSame(await run(given, metric, { lanes: 16 }), scores);
    }
  });

  test('values of DeiT-Tiny', async () => {
    const given = scoreCase({
      rows: 197,
      depth: 197,
      columns: 64,
      candidates: 2,
      heads: 3,
      aKind: 'twin-softmax',
      maxShift: 9,
    });
    expectWithin(await run(given, metric), given, metric);
  });

  test('an error of 3 at an output of 5 scores what the definition says', async () => {
    const given = scoreCase({ rows: 1, depth: 1, columns: 1 });
    given.data.a.fill(2);
    given.data.b.fill(4);
    given.data.scales.fill(1);
    given.data.bias?.fill(0);
    given.data.y.fill(-5);
    given.data.y[given.params.y.offset] = 5; // the product is 8
    const [score] = await run(given, metric);
    expect(score).toBe({ l1: 3, 'linear-weighted-mse': 45, 'square-weighted-mse': 225 }[metric]);
    given.data.y[given.params.y.offset] = -5;
    const [negative] = await run(given, metric);
    expect(negative).toBe({ l1: 13, 'linear-weighted-mse': 845, 'square-weighted-mse': 4225 }[metric]);
  });
});

test.each(['twin-softmax', 'twin-gelu'] as const)('%s: each candidate has its own shift', async (aKind) => {
  await expectScores({ rows: 34, depth: 13, columns: 17, candidates: 6, heads: 2, aKind, aBits: 8 });
  await expectScores({ rows: 34, depth: 13, columns: 17, candidates: 6, heads: 2, aKind, aBits: 4 }, ['hessian']);
});

test.each([
  ['qkv', { rows: 197, depth: 192, columns: 576, candidates: 2, images: 1, sharedB: true, candidatesDifferIn: 'b' }],
  ['scores', { rows: 197, depth: 64, columns: 197, candidates: 2, heads: 3, candidatesDifferIn: 'a' }],
  ['values', { rows: 197, depth: 197, columns: 64, candidates: 3, heads: 3, aKind: 'twin-softmax', maxShift: 9 }],
  ['fc2', { rows: 197, depth: 768, columns: 192, candidates: 2, aKind: 'twin-gelu', maxShift: 7 }],
  ['head', { rows: 1, depth: 192, columns: 1000, candidates: 3, images: 3, sharedB: true }],
] as [string, ScoreCaseShape][])('%s of DeiT-Tiny', async (_name, shape) => expectScores(shape, ['hessian']));

test('random shapes', async () => {
  const shapes = fc.record({
    candidates: fc.integer({ min: 1, max: 4 }),
    images: fc.integer({ min: 1, max: 3 }),
    heads: fc.integer({ min: 1, max: 3 }),
    rows: fc.integer({ min: 1, max: 40 }),
    depth: fc.integer({ min: 1, max: 30 }),
    columns: fc.integer({ min: 1, max: 70 }),
    aKind: fc.constantFrom('uniform' as const, 'twin-softmax' as const, 'twin-gelu' as const),
    candidatesDifferIn: fc.constantFrom('a' as const, 'b' as const, 'both' as const),
    sharedB: fc.boolean(),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  await fc.assert(
    fc.asyncProperty(shapes, (shape) => expectScores(shape, ['hessian'])),
    { numRuns: 30, seed: 3 },
  );
});

test('a chunk of images and candidates gives the bits of the whole', async () => {
  const given = scoreCase({
    rows: 40,
    depth: 20,
    columns: 70,
    candidates: 4,
    images: 3,
    heads: 2,
    aKind: 'twin-softmax',
  });
  const whole = await run(given, 'hessian');
  const size = 2 * 70; // groups x columns of one batch entry
  const { data, params, gradientView } = given;
  // Image 1 of candidates 2 and 3 as a dispatch of its own.
  const [image, candidate] = [1, 2];
  const words = 5;
  const aFirst = candidate * params.aCandidateStride + image * 2 * 40 * words;
  const bFirst = candidate * params.bCandidateStride + image * 2 * params.bBatchStride;
  const part: ScoreCase = {
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
    gradientView: { ...gradientView, offset: gradientView.offset + image * gradientView.imageStride },
  };
  const chunk = await run(part, 'hessian');
  for (let c = 0; c < 2; c++) {
    const first = ((candidate + c) * 6 + image * 2) * size;
    expectSame(chunk.slice(c * 2 * size, (c + 1) * 2 * size), whole.slice(first, first + 2 * size));
  }
});

test('an exact candidate scores exactly zero, the others do not', async () => {
  const given = scoreCase({ rows: 33, depth: 8, columns: 5, candidates: 3 });
  given.data.scales.fill(2 ** -6);
  given.data.bias?.fill(0.25);
  const { rowStride, offset } = given.params.y;
  candidateOutput(given.data, given.params, 1).forEach((value, i) => {
    given.data.y[offset + Math.floor(i / 5) * rowStride + (i % 5)] = value; // |acc| < 2^24: no rounding anywhere
  });
  const scores = await run(given, 'hessian');
  const [first, exact, third] = [0, 1, 2].map((c) => [...scores.slice(c * 10, (c + 1) * 10)]);
  expect(exact).toEqual(Array.from({ length: 10 }, () => 0));
  expect(Math.min(...(first ?? []), ...(third ?? []))).toBeGreaterThan(0);
});

test('folds a grid that x alone cannot hold', async () => {
  const given = scoreCase({ rows: 1, depth: 1, columns: 1, candidates: 65537, candidatesDifferIn: 'b' });
  const expected = scoreElementwiseReference(given.data, { ...given.params, metric: 'mse' });
  expectClose(await run(given, 'mse'), expected, given.largest);
});

test('refuses what it cannot do, with the number', async () => {
  const given = scoreCase({ rows: 2, depth: 4, columns: 3, candidates: 2 });
  await expect(run(given, 'mse', { aKind: 'twin-gelu' })).rejects.toThrow('codes of kind twin-gelu need the shifts');
  await expect(run(given, 'mse', { candidates: 0 })).rejects.toThrow(
    'candidates must be an integer of at least 1, got 0',
  );
  await expect(run(given, 'mse', { depth: 4000 })).rejects.toThrow('a needs');
  await expect(run(given, 'mse', { scaleColumnStride: 0.5 })).rejects.toThrow('scaleColumnStride');
});
