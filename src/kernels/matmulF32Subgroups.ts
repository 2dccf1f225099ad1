import wgsl from '../../shaders/matmul_f32_subgroups.wgsl?raw';
import type { Kernel } from '../gpu/kernel.ts';

/** The interface of `matmul_f32`; prepared by `matmulF32` where subgroups have at least 4 lanes and A is readable in fours. */
export const matmulF32SubgroupsKernel = {
  name: 'matmul_f32_subgroups',
  wgsl,
  bindings: { a: 'read', b: 'read', bias: 'read', c: 'read_write' },
  params: {
    rows: 'u32',
    columns: 'u32',
    depth: 'u32',
    heads: 'u32',
    images: 'u32',
    has_bias: 'u32',
    a_offset: 'u32',
    a_outer: 'u32',
    a_inner: 'u32',
    a_row: 'u32',
    a_column: 'u32',
    b_offset: 'u32',
    b_outer: 'u32',
    b_inner: 'u32',
    b_row: 'u32',
    b_column: 'u32',
    c_offset: 'u32',
    c_outer: 'u32',
    c_inner: 'u32',
    c_row: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 32 },
} as const satisfies Kernel;
