import { expect, test } from 'vitest';
import { bareShaders } from '../../scripts/bareShaders.js';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();
const modules = import.meta.glob<Record<string, unknown>>('../../src/kernels/*.ts', { eager: true });
const kernels = Object.values(modules)
  .flatMap((exported) => Object.entries(exported))
  .filter(([name]) => name.endsWith('Kernel'))
  .map(([, kernel]) => kernel as Kernel);

test('every kernel compiles from its text as it is delivered', async () => {
  const short = bareShaders(Object.fromEntries(kernels.map(({ name, wgsl }) => [name, wgsl])));
  expect(kernels.length).toBeGreaterThan(30);
  for (const { name } of kernels) {
    if (name.endsWith('_subgroups') && !shared.device.features.has('subgroups')) continue;
    const module = shared.device.createShaderModule({ code: short[name]! });
    expect((await module.getCompilationInfo()).messages.map(({ message }) => message)).toEqual([]);
    await shared.device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: name } });
  }
});
