import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scoreElementwise, type ScoreElementwiseParams } from '../../src/kernels/scoreElementwise.ts';
import { hasSubgroupsOfFour } from '../../src/kernels/subgroups.ts';
import { scoreElementwiseSubgroupsReference } from '../../src/reference/scoreElementwiseSubgroups.ts';
import { expectSame, runInto } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { scoreCase, uploadScoreCase, type ScoreCase, type ScoreCaseShape } from '../support/scoreCase.ts';

const shared = useGpu();

async function run(given: ScoreCase, change: Partial<ScoreElementwiseParams>): Promise<Float32Array> {
  const { buffers, gradient, release } = uploadScoreCase(shared.pool, given);
  const params = { ...given.params, gradient: given.gradientView, metric: 'hessian' as const, ...change };
  const { candidates, images, heads, rows, columns } = params;
  const words = candidates * images * heads * Math.ceil(rows / 32) * columns;
  try {
    const bytes = await runInto(shared.pool, words, async (partials) => [
      await scoreElementwise(
        shared.device,
        { ...buffers, gradient: params.metric === 'hessian' ? gradient : null, partials },
        params,
      ),
    ]);
    return new Float32Array(bytes);
  } finally {
    release();
  }
}

/** The bits of the plain kernel, whatever the workgroup. */
async function expectSameBits(shape: ScoreCaseShape): Promise<void> {
  const given = scoreCase(shape);
  const plain = await run(given, { variant: 'plain', lanes: 32 });
  for (const lanes of [16, 32] as const) expectSame(await run(given, { variant: 'subgroups', lanes }), plain);
}

test('the adapter of these tests has subgroups of at least 4 lanes', () => {
  expect(hasSubgroupsOfFour(shared.device)).toBe(true);
});

test('refuses a device whose subgroups are smaller', async () => {
  const given = scoreCase({ rows: 1, depth: 1, columns: 1 });
  const { buffers, gradient, release } = uploadScoreCase(shared.pool, given);
  const device = { features: new Set(['subgroups']), adapterInfo: { subgroupMinSize: 2 } } as unknown as GPUDevice;
  expect(hasSubgroupsOfFour(device)).toBe(false);
  const params = { ...given.params, gradient: given.gradientView, metric: 'hessian', variant: 'subgroups' } as const;
  await expect(scoreElementwise(device, { ...buffers, gradient, partials: gradient }, params)).rejects.toThrow('got 2');
  release();
});

test.each([1, 3, 4, 5, 7, 9, 31, 33, 255, 257])('%i rows: the bits of the plain kernel', async (rows) => {
  await expectSameBits({ rows, depth: 5, columns: 3, candidates: 2, seed: rows });
});

test.each([
  ['qkv', { rows: 197, depth: 192, columns: 576, candidates: 2, sharedB: true, candidatesDifferIn: 'b' }],
  ['scores', { rows: 197, depth: 64, columns: 197, candidates: 2, heads: 3, candidatesDifferIn: 'a' }],
  ['values', { rows: 197, depth: 197, columns: 64, candidates: 3, heads: 3, aKind: 'twin-softmax', maxShift: 9 }],
  ['fc2', { rows: 197, depth: 768, columns: 192, candidates: 2, aKind: 'twin-gelu', maxShift: 7 }],
] as [string, ScoreCaseShape][])('%s of DeiT-Tiny: the bits of the plain kernel', async (_name, shape) => {
  await expectSameBits(shape);
});

test.each(['mse', 'l1', 'linear-weighted-mse', 'square-weighted-mse'] as const)(
  '%s: the bits of the plain kernel',
  async (metric) => {
    const given = scoreCase({ rows: 33, depth: 21, columns: 65, candidates: 2, heads: 2, aKind: 'twin-gelu' });
    const plain = await run(given, { variant: 'plain', lanes: 32, metric });
    for (const lanes of [16, 32] as const) expectSame(await run(given, { variant: 'subgroups', lanes, metric }), plain);
  },
);

test('random shapes and kinds: the bits of the plain kernel', async () => {
  const shapes = fc.record({
    candidates: fc.integer({ min: 1, max: 4 }),
    images: fc.integer({ min: 1, max: 3 }),
    heads: fc.integer({ min: 1, max: 3 }),
    rows: fc.integer({ min: 1, max: 40 }),
    depth: fc.integer({ min: 1, max: 30 }),
    columns: fc.integer({ min: 1, max: 140 }),
    aKind: fc.constantFrom('uniform' as const, 'twin-softmax' as const, 'twin-gelu' as const),
    candidatesDifferIn: fc.constantFrom('a' as const, 'b' as const, 'both' as const),
    sharedB: fc.boolean(),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  await fc.assert(fc.asyncProperty(shapes, expectSameBits), { numRuns: 25, seed: 4 });
});

test('its sum is that of the double reference', async () => {
  const given = scoreCase({ rows: 70, depth: 40, columns: 90, candidates: 3, images: 2 });
  const shape = { ...given.params, metric: 'hessian' as const, gradient: given.gradientView };
  const expected = scoreElementwiseSubgroupsReference(given.data, shape).reduce((sum, x) => sum + x, 0);
  const actual = (await run(given, { variant: 'subgroups' })).reduce((sum, x) => sum + x, 0);
  expect(Math.abs(actual / expected - 1)).toBeLessThan(1e-5);
});
