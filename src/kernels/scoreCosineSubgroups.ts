import codes from '../../shaders/lib_codes.wgsl?raw';
import body from '../../shaders/score_cosine_subgroups.wgsl?raw';
import type { Kernel } from '../gpu/kernel.ts';

/** The interface of `score_cosine`; prepared by `scoreCosine` where `hasSubgroupsOfFour`. */
export const scoreCosineSubgroupsKernel = {
  name: 'score_cosine_subgroups',
  wgsl: `${body}\n${codes}`,
  bindings: { a: 'read', b: 'read', scales: 'read', bias: 'read', y: 'read', shifts: 'read', cosines: 'read_write' },
  params: {
    candidates: 'u32',
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    depth: 'u32',
    columns: 'u32',
    a_candidate_stride: 'u32',
    b_candidate_stride: 'u32',
    b_batch_stride: 'u32',
    scale_candidate_stride: 'u32',
    scale_head_stride: 'u32',
    scale_column_stride: 'u32',
    has_bias: 'u32',
    y_offset: 'u32',
    y_image_stride: 'u32',
    y_head_stride: 'u32',
    y_row_stride: 'u32',
    parts: 'u32',
  },
  overrides: { WX: 32, A_KIND: 0, A_BITS: 8, CENTRED: 0 },
} as const satisfies Kernel;
