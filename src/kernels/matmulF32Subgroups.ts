import wgsl from '../../shaders/matmul_f32_subgroups.wgsl?raw';
import type { Kernel } from '../gpu/kernel.ts';
import { matmulF32Interface } from './matmulF32Interface.ts';

/** The interface of `matmul_f32`; prepared by `matmulF32` where subgroups have at least 4 lanes and A is readable in fours. */
export const matmulF32SubgroupsKernel = {
  name: 'matmul_f32_subgroups',
  wgsl,
  ...matmulF32Interface,
  overrides: { WORKGROUP_SIZE: 32 },
} as const satisfies Kernel;
