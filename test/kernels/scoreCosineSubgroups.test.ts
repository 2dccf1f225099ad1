import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scoreCosine, type RowMetric, type ScoreCosineParams } from '../../src/kernels/scoreCosine.ts';
import { scoreCosineSubgroupsReference } from '../../src/reference/scoreCosineSubgroups.ts';
import { expectSame, runInto } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { scoreCase, uploadScoreCase, type ScoreCase, type ScoreCaseShape } from '../support/scoreCase.ts';

const shared = useGpu();

async function run(given: ScoreCase, parts: number, change: Partial<ScoreCosineParams>): Promise<Float32Array> {
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

/** The bits of the plain kernel, whatever the workgroup. */
async function expectSameBits(shape: ScoreCaseShape, parts = 1, metric: RowMetric = 'cosine'): Promise<void> {
  const given = scoreCase(shape);
  const plain = await run(given, parts, { variant: 'plain', lanes: 32, metric });
  for (const lanes of [16, 32] as const) {
    expectSame(await run(given, parts, { variant: 'subgroups', lanes, metric }), plain);
  }
}

test('refuses a device whose subgroups are smaller', async () => {
  const given = scoreCase({ rows: 1, depth: 1, columns: 1 });
  const { buffers, release } = uploadScoreCase(shared.pool, given);
  const device = { features: new Set(['subgroups']), adapterInfo: { subgroupMinSize: 2 } } as unknown as GPUDevice;
  const params = { ...given.params, parts: 1, variant: 'subgroups' } as const;
  await expect(scoreCosine(device, { ...buffers, cosines: buffers.y }, params)).rejects.toThrow('got 2');
  release();
});

test.each([1, 3, 4, 5, 7, 9, 31, 33, 255, 257])('%i rows: the bits of the plain kernel', async (rows) => {
  await expectSameBits({ rows, depth: 5, columns: 3, candidates: 2, seed: rows });
});

test.each([
  ['qkv', 3, { rows: 197, depth: 192, columns: 576, candidates: 2, sharedB: true, candidatesDifferIn: 'b' }],
  ['scores', 1, { rows: 197, depth: 64, columns: 197, candidates: 2, heads: 3, candidatesDifferIn: 'a' }],
  ['values', 1, { rows: 197, depth: 197, columns: 64, candidates: 3, heads: 3, aKind: 'twin-softmax', maxShift: 9 }],
  ['fc2', 1, { rows: 197, depth: 768, columns: 192, candidates: 2, aKind: 'twin-gelu', maxShift: 7 }],
] as [string, number, ScoreCaseShape][])(
  '%s of DeiT-Tiny in %i parts: the bits of the plain kernel',
  async (_name, parts, shape) => {
    await expectSameBits(shape, parts);
  },
);

test.each([1, 5, 257])('pearson of %i columns in 2 parts: the bits of the plain kernel', async (columns) => {
  const shape = { rows: 9, depth: 13, candidates: 2, heads: 2, aKind: 'twin-softmax' } as const;
  await expectSameBits({ ...shape, columns: 2 * columns }, 2, 'pearson');
});

test('random shapes and kinds: the bits of the plain kernel', async () => {
  const shapes = fc.record({
    candidates: fc.integer({ min: 1, max: 4 }),
    images: fc.integer({ min: 1, max: 3 }),
    heads: fc.integer({ min: 1, max: 3 }),
    rows: fc.integer({ min: 1, max: 20 }),
    depth: fc.integer({ min: 1, max: 30 }),
    columns: fc.integer({ min: 1, max: 70 }),
    aKind: fc.constantFrom('uniform' as const, 'twin-softmax' as const, 'twin-gelu' as const),
    candidatesDifferIn: fc.constantFrom('a' as const, 'b' as const, 'both' as const),
    sharedB: fc.boolean(),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  await fc.assert(
    fc.asyncProperty(shapes, fc.integer({ min: 1, max: 3 }), ({ columns, ...rest }, parts) =>
      expectSameBits({ ...rest, columns: columns * parts }, parts),
    ),
    { numRuns: 25, seed: 4 },
  );
});

test('it is the double reference', async () => {
  const given = scoreCase({ rows: 70, depth: 40, columns: 90, candidates: 3, images: 2 });
  const expected = scoreCosineSubgroupsReference(given.data, { ...given.params, parts: 2 });
  const actual = await run(given, 2, { variant: 'subgroups' });
  expect(actual.length).toBe(expected.length);
  const worst = expected.reduce((error, value, i) => Math.max(error, Math.abs((actual[i] as number) - value)), 0);
  expect(worst).toBeLessThan(4e-6);
});
