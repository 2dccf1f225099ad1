// matmul_requantize_subgroups: matmul_requantize with the decoded codes of A shared by the lanes of a subgroup (METHOD: integer-only
// inference; PTQ4ViT, section 3.2, bit-shift alignment).
//
// Buffers, parameters, results and bounds are those of matmul_requantize, in every bit.
//
// A workgroup of WX lanes makes ROWS (8 or 16) rows x 4 * WX columns; each lane ROWS x 4 columns, adjacent where it packs columns
// and WX apart otherwise. SHARE (4 or 8) neighbouring lanes load and decode a row each, in turn, and the first SHARE lanes of the
// subgroup broadcast them: right for every subgroup of at least SHARE lanes. No workgroup memory. Reads past the matrix are
// clamped to its last row or column, writes skipped.
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

enable subgroups;

override WX: u32 = 32;
override ROWS: u32 = 16;
override SHARE: u32 = 4;
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
fn matmul_requantize_subgroups(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let words = (params.depth + 3u) / 4u;
  let column_tiles = (params.columns + 4u * WX - 1u) / (4u * WX);
  let row_tiles = (params.rows + ROWS - 1u) / ROWS;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let batch = index / (column_tiles * row_tiles);
  if (batch >= params.images * params.heads) { return; }
  let image = batch / params.heads;
  let head = batch % params.heads;
  let row0 = index / column_tiles % row_tiles * ROWS;
  let column = lane_columns(index % column_tiles * 4u * WX, local.x, WX);

  let last = params.rows - 1u;
  let a_first = params.a_offset + image * params.a_image_stride + head * params.a_head_stride;
  let row_read = vec4<u32>(row0 + subgroup_lane % SHARE) + vec4<u32>(0u, SHARE, 2u * SHARE, 3u * SHARE);
  let a_at = vec4<u32>(a_first) + min(row_read, vec4<u32>(last)) * params.a_row_stride;
  let b_first = min(column, vec4<u32>(params.columns - 1u))
    + vec4<u32>(params.b_offset + image * params.b_image_stride + head * params.b_head_stride);
  var b_at = b_first;

  var acc: array<vec4<i32>, 16>; // |acc| < 2^31 by the bound of matmul_requantize
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
    if (SHARE == 8u) {
      let row0 = decode_codes(a[a_at.x + k], A_KIND, A_BITS, params.shift);
      acc[0] += row_sum(subgroupBroadcast(row0, 0u), b0, b1, b2, b3);
      acc[1] += row_sum(subgroupBroadcast(row0, 1u), b0, b1, b2, b3);
      acc[2] += row_sum(subgroupBroadcast(row0, 2u), b0, b1, b2, b3);
      acc[3] += row_sum(subgroupBroadcast(row0, 3u), b0, b1, b2, b3);
      acc[4] += row_sum(subgroupBroadcast(row0, 4u), b0, b1, b2, b3);
      acc[5] += row_sum(subgroupBroadcast(row0, 5u), b0, b1, b2, b3);
      acc[6] += row_sum(subgroupBroadcast(row0, 6u), b0, b1, b2, b3);
      acc[7] += row_sum(subgroupBroadcast(row0, 7u), b0, b1, b2, b3);
      if (ROWS == 16u) {
        let row1 = decode_codes(a[a_at.y + k], A_KIND, A_BITS, params.shift);
        acc[8] += row_sum(subgroupBroadcast(row1, 0u), b0, b1, b2, b3);
        acc[9] += row_sum(subgroupBroadcast(row1, 1u), b0, b1, b2, b3);
        acc[10] += row_sum(subgroupBroadcast(row1, 2u), b0, b1, b2, b3);
        acc[11] += row_sum(subgroupBroadcast(row1, 3u), b0, b1, b2, b3);
        acc[12] += row_sum(subgroupBroadcast(row1, 4u), b0, b1, b2, b3);
        acc[13] += row_sum(subgroupBroadcast(row1, 5u), b0, b1, b2, b3);
        acc[14] += row_sum(subgroupBroadcast(row1, 6u), b0, b1, b2, b3);
        acc[15] += row_sum(subgroupBroadcast(row1, 7u), b0, b1, b2, b3);
      }
    } else {
      let row0 = decode_codes(a[a_at.x + k], A_KIND, A_BITS, params.shift);
      acc[0] += row_sum(subgroupBroadcast(row0, 0u), b0, b1, b2, b3);
      acc[1] += row_sum(subgroupBroadcast(row0, 1u), b0, b1, b2, b3);
      acc[2] += row_sum(subgroupBroadcast(row0, 2u), b0, b1, b2, b3);
      acc[3] += row_sum(subgroupBroadcast(row0, 3u), b0, b1, b2, b3);
      let row1 = decode_codes(a[a_at.y + k], A_KIND, A_BITS, params.shift);
      acc[4] += row_sum(subgroupBroadcast(row1, 0u), b0, b1, b2, b3);
      acc[5] += row_sum(subgroupBroadcast(row1, 1u), b0, b1, b2, b3);
      acc[6] += row_sum(subgroupBroadcast(row1, 2u), b0, b1, b2, b3);
      acc[7] += row_sum(subgroupBroadcast(row1, 3u), b0, b1, b2, b3);
      if (ROWS == 16u) {
        let row2 = decode_codes(a[a_at.z + k], A_KIND, A_BITS, params.shift);
        acc[8] += row_sum(subgroupBroadcast(row2, 0u), b0, b1, b2, b3);
        acc[9] += row_sum(subgroupBroadcast(row2, 1u), b0, b1, b2, b3);
        acc[10] += row_sum(subgroupBroadcast(row2, 2u), b0, b1, b2, b3);
        acc[11] += row_sum(subgroupBroadcast(row2, 3u), b0, b1, b2, b3);
        let row3 = decode_codes(a[a_at.w + k], A_KIND, A_BITS, params.shift);
        acc[12] += row_sum(subgroupBroadcast(row3, 0u), b0, b1, b2, b3);
        acc[13] += row_sum(subgroupBroadcast(row3, 1u), b0, b1, b2, b3);
        acc[14] += row_sum(subgroupBroadcast(row3, 2u), b0, b1, b2, b3);
        acc[15] += row_sum(subgroupBroadcast(row3, 3u), b0, b1, b2, b3);
      }
    }
    b_at += vec4<u32>(params.b_row_stride);
  }

  let scales = column_scales(head, column);
  finish_rows(array<vec4<i32>, 4>(acc[0], acc[1], acc[2], acc[3]), image, head, row0, column, scales);
  finish_rows(array<vec4<i32>, 4>(acc[4], acc[5], acc[6], acc[7]), image, head, row0 + 4u, column, scales);
  if (ROWS == 16u) {
    finish_rows(array<vec4<i32>, 4>(acc[8], acc[9], acc[10], acc[11]), image, head, row0 + 8u, column, scales);
    finish_rows(array<vec4<i32>, 4>(acc[12], acc[13], acc[14], acc[15]), image, head, row0 + 12u, column, scales);
  }
}
