import { expect, test } from 'vitest';
import { bareShaders } from '../../scripts/bareShaders.js';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { selfTest } from '../../src/selfTest/selfTest.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();
const modules = import.meta.glob<Record<string, unknown>>('../../src/kernels/*.ts', { eager: true });
const kernels = Object.values(modules)
  .flatMap((exported) => Object.entries(exported))
  .filter(([name]) => name.endsWith('Kernel'))
  .map(([, kernel]) => kernel as Kernel);

test('every kernel agrees with its twin from its text as it is delivered', async () => {
  const short = bareShaders(Object.fromEntries(kernels.map(({ name, wgsl }) => [name, wgsl])));
  for (const kernel of kernels) Object.assign(kernel, { wgsl: short[kernel.name] }); // seen by this test file alone
  const results = await selfTest(shared.gpu);
  expect(results.filter(({ passed }) => !passed)).toEqual([]);
  expect(results.length).toBeGreaterThan(50);
});
