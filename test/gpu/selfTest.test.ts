import { expect, test } from 'vitest';
import { selfTest, selfTestCases } from '../../src/selfTest/selfTest.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

// that it passes is in bareShaders.test.ts, by the texts that are delivered
test('no kernel is left out', () => {
  const modules = import.meta.glob<Record<string, unknown>>('../../src/kernels/*.ts', { eager: true });
  const kernels = Object.values(modules)
    .flatMap((module) => Object.entries(module))
    .filter(([name]) => name.endsWith('Kernel'))
    .map(([, kernel]) => (kernel as { name: string }).name);
  expect([...new Set(selfTestCases(shared.device).map(({ kernel }) => kernel))].sort()).toEqual(kernels.sort());
});

test('a wrong number and a failure are results, and the others still run', async () => {
  const good = { kernel: 'good', form: '', bound: 1e-9, measure: () => Promise.resolve(1e-10) };
  const wrong = { kernel: 'wrong', form: 'b', bound: 1e-9, measure: () => Promise.resolve(1e-3) };
  const nan = { kernel: 'nan', form: '', bound: 1e-9, measure: () => Promise.resolve(NaN) };
  const broken = { kernel: 'broken', form: '', bound: 0, measure: () => Promise.reject(new Error('no shader')) };
  expect(await selfTest(shared.gpu, [broken, wrong, nan, good])).toEqual([
    { kernel: 'broken', form: '', passed: false, error: null, bound: 0, failure: 'no shader' },
    { kernel: 'wrong', form: 'b', passed: false, error: 1e-3, bound: 1e-9, failure: null },
    { kernel: 'nan', form: '', passed: false, error: NaN, bound: 1e-9, failure: null },
    { kernel: 'good', form: '', passed: true, error: 1e-10, bound: 1e-9, failure: null },
  ]);
});
