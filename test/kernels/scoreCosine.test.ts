import { expect, test } from 'vitest';
import { scoreCosine, type ScoreCosineParams } from '../../src/kernels/scoreCosine.ts';
import { scoreCosineReference } from '../../src/reference/scoreCosine.ts';
import { expectSame, runInto } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { scoreCase, uploadScoreCase, type ScoreCase, type ScoreCaseShape } from '../support/scoreCase.ts';

const shared = useGpu();

async function run(given: ScoreCase, parts: number, change: Partial<ScoreCosineParams> = {}): Promise<Float32Array> {
  const { buffers, release } = uploadScoreCase(shared.pool, given);
  const params = { ...given.params, parts, ...change };
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

async function expectCosines(shape: ScoreCaseShape, parts = 1): Promise<void> {
  const given = scoreCase(shape);
  const cosines = await run(given, parts);
  const expected = scoreCosineReference(given.data, { ...given.params, parts });
  expect(cosines.length).toBe(expected.length);
  const worst = expected.reduce((error, value, i) => Math.max(error, Math.abs((cosines[i] as number) - value)), 0);
  expect(worst).toBeLessThan(4e-6);
}

test.each([1, 3, 4, 5, 7, 8, 9, 255, 257])('%i rows: none is lost', async (rows) => {
  await expectCosines({ rows, depth: 5, columns: 6, candidates: 2, seed: rows });
});

test.each([1, 3, 4, 5, 31, 33, 127, 129, 255, 257])('%i columns: none is lost, none is invented', async (columns) => {
  await expectCosines({ rows: 3, depth: 7, columns, candidates: 3, seed: columns });
});

test.each(['twin-softmax', 'twin-gelu'] as const)('%s: each candidate has its own shift', async (aKind) => {
  await expectCosines({ rows: 10, depth: 13, columns: 17, candidates: 6, heads: 2, aKind, aBits: 8 });
  await expectCosines({ rows: 10, depth: 13, columns: 17, candidates: 6, heads: 2, aKind, aBits: 4 });
});

test.each([
  ['qkv', 3, { rows: 197, depth: 192, columns: 576, candidates: 2, sharedB: true, candidatesDifferIn: 'b' }],
  ['scores', 1, { rows: 197, depth: 64, columns: 197, candidates: 2, images: 2, heads: 3, candidatesDifferIn: 'a' }],
  ['values', 1, { rows: 197, depth: 197, columns: 64, candidates: 2, heads: 3, aKind: 'twin-softmax', maxShift: 9 }],
] as [string, number, ScoreCaseShape][])('%s of DeiT-Tiny in %i parts', async (_name, parts, shape) => {
  await expectCosines(shape, parts);
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

test('one candidate alone has the bits it has among others', async () => {
  const given = scoreCase({ rows: 11, depth: 20, columns: 70, candidates: 4, heads: 2 });
  const whole = await run(given, 1);
  const { params, data } = given;
  const alone = {
    ...given,
    params: { ...params, candidates: 1 },
    data: {
      ...data,
      a: data.a.slice(2 * params.aCandidateStride),
      b: data.b.slice(2 * params.bCandidateStride),
      scales: data.scales.slice(2 * params.scaleCandidateStride),
    },
  };
  expectSame(await run(alone, 1), whole.slice(44, 66));
});

test('refuses what it cannot do, with the number', async () => {
  const given = scoreCase({ rows: 2, depth: 4, columns: 4 });
  await expect(run(given, 3)).rejects.toThrow('4 columns do not divide into 3 equal parts');
  await expect(run(given, 1, { aKind: 'twin-gelu' })).rejects.toThrow('codes of kind twin-gelu need the shifts');
});
