import type { Kernel } from '../gpu/kernel.ts';

/** Bindings and parameters that `matmul_f32` and its shared form have in common. */
export const matmulF32Interface = {
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
} as const satisfies Pick<Kernel, 'bindings' | 'params'>;
