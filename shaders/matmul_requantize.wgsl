// matmul_requantize: product of two matrices of 8-bit codes, plus bias, rescaled to integers of 8 or 16 bits or left as int32
// (METHOD: integer-only inference; PTQ4ViT, section 3.2, bit-shift alignment).
//
// in   a         u32, word k of row r: a_offset + image * a_image_stride + head * a_head_stride + r * a_row_stride + k
// in   b         u32, word k of column c: b_offset + image * b_image_stride + head * b_head_stride + k * b_row_stride + c
// in   bias      i32, at bias_offset + head * bias_head_stride + c, read when HAS_BIAS is 1
// in   rescale   vec2<u32> (multiplier, shift), at rescale_offset + head * rescale_head_stride + c * rescale_column_stride
// in   residual  u32, laid out like y but from residual_offset, read when HAS_RESIDUAL is 1
// out  y         u32, element group (R, C): y_offset + image * y_image_stride + head * y_head_stride + R * y_row_stride
//                + C * y_column_stride
//
// acc = sum over depth of decode(a) * b + bias, codes of A by A_KIND as in matmul_codes; rows of A of two `planes`, one behind the
// other, are each multiplied by the same b and added. What is written by OUTPUT:
//   0  codes, four columns of a row in a word:  R = row, C = column / 4; clamp(rescale_8(acc), qmin, qmax)
//   1  codes, four rows of a column in a word:  R = row / 4, C = column; the same
//   2  16-bit, two columns of a row in a word:  R = row, C = column / 2; clamp(rescale_int16(acc), qmin, qmax), and with HAS_RESIDUAL
//      1 clamp(saturate(rescale_int16(acc) + rescale_term(residual; residual_multiplier, residual_shift)), qmin, qmax)
//   3  acc itself:                              R = row, C = column
// Places of a word past the last row or column are 0. Bit-exact while |acc| < 2^31: uniform codes 2^(A_BITS-1) * depth *
// 2^(w-1) + |bias|, twin codes 2^shift * (2^(A_BITS-1) - 1) * depth * 2^(w-1) + |bias|, w the bits of B, or what the exact row
// sums of |b| allow.
//
// A workgroup of WX lanes makes 8 rows x 4 * WX columns; each lane 8 rows x 4 columns, adjacent where it packs columns and WX
// apart otherwise. No workgroup memory. Reads past the matrix are clamped to its last row or column, writes skipped.
//
// | binding | name     | space          | type             |
// |---------|----------|----------------|------------------|
// | 0       | a        | storage, read  | array<u32>       |
// | 1       | b        | storage, read  | array<u32>       |
// | 2       | bias     | storage, read  | array<i32>       |
// | 3       | rescale  | storage, read  | array<vec2<u32>> |
// | 4       | residual | storage, read  | array<u32>       |
// | 5       | y        | storage, write | array<u32>       |
// | 6       | params   | uniform        | Params           |

override WX: u32 = 32;
override A_KIND: u32 = 0;
override A_BITS: u32 = 8;
override OUTPUT: u32 = 0;
override HAS_BIAS: u32 = 0;
override HAS_RESIDUAL: u32 = 0;

struct Params {
  images: u32,
  heads: u32,
  rows: u32,
  depth: u32,
  planes: u32,
  columns: u32,
  shift: u32,
  a_offset: u32,
  a_image_stride: u32,
  a_head_stride: u32,
  a_row_stride: u32,
  b_offset: u32,
  b_image_stride: u32,
  b_head_stride: u32,
  b_row_stride: u32,
  bias_offset: u32,
  bias_head_stride: u32,
  rescale_offset: u32,
  rescale_head_stride: u32,
  rescale_column_stride: u32,
  qmin: i32,
  qmax: i32,
  residual_offset: u32,
  residual_multiplier: u32,
  residual_shift: u32,
  y_offset: u32,
  y_image_stride: u32,
  y_head_stride: u32,
  y_row_stride: u32,
  y_column_stride: u32,
}

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> bias: array<i32>;
@group(0) @binding(3) var<storage, read> rescale: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> residual: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(WX)
fn matmul_requantize(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let words = (params.depth + 3u) / 4u;
  let column_tiles = (params.columns + 4u * WX - 1u) / (4u * WX);
  let row_tiles = (params.rows + 8u - 1u) / 8u;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let batch = index / (column_tiles * row_tiles);
  if (batch >= params.images * params.heads) { return; }
  let image = batch / params.heads;
  let head = batch % params.heads;
  let row0 = index / column_tiles % row_tiles * 8u;
  let column = lane_columns(index % column_tiles * 4u * WX, local.x, WX);

  let last = params.rows - 1u;
  let a_first = params.a_offset + image * params.a_image_stride + head * params.a_head_stride;
  let a0 = a_first + row0 * params.a_row_stride;
  let a1 = a_first + min(row0 + 1u, last) * params.a_row_stride;
  let a2 = a_first + min(row0 + 2u, last) * params.a_row_stride;
  let a3 = a_first + min(row0 + 3u, last) * params.a_row_stride;
  let a4 = a_first + min(row0 + 4u, last) * params.a_row_stride;
  let a5 = a_first + min(row0 + 5u, last) * params.a_row_stride;
  let a6 = a_first + min(row0 + 6u, last) * params.a_row_stride;
  let a7 = a_first + min(row0 + 7u, last) * params.a_row_stride;
  let b_first = min(column, vec4<u32>(params.columns - 1u))
    + vec4<u32>(params.b_offset + image * params.b_image_stride + head * params.b_head_stride);
  var b_at = b_first;

  var acc: array<vec4<i32>, 8>; // |acc| < 2^31 by the bound above
  for (var k = 0u; k < words * params.planes; k++) {
    if (k == words) { b_at = b_first; }
    let c0 = unpack4xI8(b[b_at.x]);
    let c1 = unpack4xI8(b[b_at.y]);
    let c2 = unpack4xI8(b[b_at.z]);
    let c3 = unpack4xI8(b[b_at.w]);
    let b0 = vec4<i32>(c0.x, c1.x, c2.x, c3.x);
    let b1 = vec4<i32>(c0.y, c1.y, c2.y, c3.y);
    let b2 = vec4<i32>(c0.z, c1.z, c2.z, c3.z);
    let b3 = vec4<i32>(c0.w, c1.w, c2.w, c3.w);
    acc[0] += row_sum(decode_codes(a[a0 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[1] += row_sum(decode_codes(a[a1 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[2] += row_sum(decode_codes(a[a2 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[3] += row_sum(decode_codes(a[a3 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[4] += row_sum(decode_codes(a[a4 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[5] += row_sum(decode_codes(a[a5 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[6] += row_sum(decode_codes(a[a6 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[7] += row_sum(decode_codes(a[a7 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    b_at += vec4<u32>(params.b_row_stride);
  }

  let scales = column_scales(head, column);
  finish_rows(array<vec4<i32>, 4>(acc[0], acc[1], acc[2], acc[3]), image, head, row0, column, scales);
  finish_rows(array<vec4<i32>, 4>(acc[4], acc[5], acc[6], acc[7]), image, head, row0 + 4u, column, scales);
}
