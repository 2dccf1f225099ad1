/** Bindings and parameters that `matmul_requantize` and its variants have in common. */
export const requantizeInterface = {
  bindings: { a: 'read', b: 'read', bias: 'read', rescale: 'read', residual: 'read', y: 'read_write' },
  params: {
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    depth: 'u32',
    planes: 'u32',
    columns: 'u32',
    shift: 'u32',
    a_offset: 'u32',
    a_image_stride: 'u32',
    a_head_stride: 'u32',
    a_row_stride: 'u32',
    b_offset: 'u32',
    b_image_stride: 'u32',
    b_head_stride: 'u32',
    b_row_stride: 'u32',
    bias_offset: 'u32',
    bias_head_stride: 'u32',
    rescale_offset: 'u32',
    rescale_head_stride: 'u32',
    rescale_column_stride: 'u32',
    qmin: 'i32',
    qmax: 'i32',
    residual_offset: 'u32',
    residual_multiplier: 'u32',
    residual_shift: 'u32',
    y_offset: 'u32',
    y_image_stride: 'u32',
    y_head_stride: 'u32',
    y_row_stride: 'u32',
    y_column_stride: 'u32',
  },
} as const;

/** Overrides that they have in common, with their defaults. */
export const requantizeOverrides = { A_KIND: 0, A_BITS: 8, OUTPUT: 0, HAS_BIAS: 0, HAS_RESIDUAL: 0 } as const;
