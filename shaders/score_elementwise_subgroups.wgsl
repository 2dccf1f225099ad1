// score_elementwise_subgroups: score_elementwise with the decoded codes of A shared by the lanes of a subgroup (PTQ4ViT, equation 7).
//
// in   a         u32 [batch][rows][words] at candidate * a_candidate_stride; words = ceil(depth / 4), batch = images * heads
// in   b         u32 [batch or 1][words][columns] at candidate * b_candidate_stride, signed bytes
// in   scales    f32, index candidate * scale_candidate_stride + head * scale_head_stride + column * scale_column_stride
// in   bias      f32 [columns], read when has_bias is 1
// in   y         f32, the float output: element (image, head, row, column) at y_offset + image * y_image_stride
//                + head * y_head_stride + row * y_row_stride + column
// in   gradient  f32, dL/dy at its own offset and strides, read when METRIC is 1
// in   shifts    u32 [candidates], the twin shift, read when A_KIND is not 0
// out  partials  f32 [candidates][batch][groups][columns], groups = ceil(rows / 32)
//
// acc = sum over depth of decode(a) * b as in matmul_codes (exact; same bound: 2^shift * (2^(A_BITS-1) - 1) * depth * 2^(w-1)
// < 2^31, uniform 2^(A_BITS-1) * depth * 2^(w-1) < 2^31), yhat = f32(acc) * scale + bias, error = weight * (y - yhat) with weight
// the gradient (METRIC 1, hessian), y (METRIC 4, square-weighted-mse) or 1 (METRIC 0, mse); a partial is the sum of error^2 over
// 32 rows in row order inside one lane, or with METRIC 2 (l1) of |y - yhat|, with METRIC 3 (linear-weighted-mse) of
// |y| (y - yhat)^2. It depends neither on WX nor on which candidates and images a dispatch holds. f32: relative error <= 1e-5 of
// the same sum in double where the errors are quantization errors; the candidate outputs are never written.
//
// A workgroup of WX lanes makes 32 rows x 4 * WX columns of one candidate and batch entry in 4 tiles of 8 rows; each lane owns 4
// columns, WX apart. Lane l of a subgroup loads and decodes rows l % 4 and 4 + l % 4 of a tile, and lanes 0 to 3 broadcast them:
// right for every subgroup of at least 4 lanes. The sums are the same, in the same order, as in score_elementwise. Reads past the
// matrix are clamped to its last row or column, their sums and writes skipped.
//
// | binding | name     | space          | type       |
// |---------|----------|----------------|------------|
// | 0       | a        | storage, read  | array<u32> |
// | 1       | b        | storage, read  | array<u32> |
// | 2       | scales   | storage, read  | array<f32> |
// | 3       | bias     | storage, read  | array<f32> |
// | 4       | y        | storage, read  | array<f32> |
// | 5       | gradient | storage, read  | array<f32> |
// | 6       | shifts   | storage, read  | array<u32> |
// | 7       | partials | storage, write | array<f32> |
// | 8       | params   | uniform        | Params     |

enable subgroups;

override WX: u32 = 32;
override A_KIND: u32 = 0;
override A_BITS: u32 = 8;
override METRIC: u32 = 1;

const ROWS_PER_GROUP: u32 = 32; // a constant of the method, not of the tile

struct Params {
  candidates: u32,
  images: u32,
  heads: u32,
  rows: u32,
  depth: u32,
  columns: u32,
  a_candidate_stride: u32,
  b_candidate_stride: u32,
  b_batch_stride: u32,
  scale_candidate_stride: u32,
  scale_head_stride: u32,
  scale_column_stride: u32,
  has_bias: u32,
  y_offset: u32,
  y_image_stride: u32,
  y_head_stride: u32,
  y_row_stride: u32,
  gradient_offset: u32,
  gradient_image_stride: u32,
  gradient_head_stride: u32,
  gradient_row_stride: u32,
}

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> y: array<f32>;
@group(0) @binding(5) var<storage, read> gradient: array<f32>;
@group(0) @binding(6) var<storage, read> shifts: array<u32>;
@group(0) @binding(7) var<storage, read_write> partials: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

/// What one row adds to the scores of four columns.
fn row_score(
  acc: vec4<i32>, row: u32, column: vec4<u32>, y_first: u32, gradient_first: u32, scale: vec4<f32>, shift_up: vec4<f32>,
) -> vec4<f32> {
  let y_at = column + vec4<u32>(y_first + row * params.y_row_stride);
  let target_y = vec4<f32>(y[y_at.x], y[y_at.y], y[y_at.z], y[y_at.w]);
  var error = target_y - (vec4<f32>(acc) * scale + shift_up);
  if (METRIC == 1u) {
    let g_at = column + vec4<u32>(gradient_first + row * params.gradient_row_stride);
    error *= vec4<f32>(gradient[g_at.x], gradient[g_at.y], gradient[g_at.z], gradient[g_at.w]);
  }
  if (METRIC == 2u) { return abs(error); }
  if (METRIC == 3u) { return abs(target_y) * error * error; }
  if (METRIC == 4u) { error *= target_y; }
  return error * error;
}

@compute @workgroup_size(WX)
fn score_elementwise_subgroups(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let words = (params.depth + 3u) / 4u;
  let column_tiles = (params.columns + 4u * WX - 1u) / (4u * WX);
  let groups = (params.rows + ROWS_PER_GROUP - 1u) / ROWS_PER_GROUP;
  let batches = params.images * params.heads;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let group = index / column_tiles % groups;
  let batch = index / (column_tiles * groups) % batches;
  let candidate = index / (column_tiles * groups * batches);
  if (candidate >= params.candidates) { return; }
  let head = batch % params.heads;
  let image = batch / params.heads;
  let column = vec4<u32>(index % column_tiles * 4u * WX + local.x) + vec4<u32>(0u, WX, 2u * WX, 3u * WX);
  let inside = min(column, vec4<u32>(params.columns - 1u));

  let scale_at = inside * params.scale_column_stride
    + vec4<u32>(candidate * params.scale_candidate_stride + head * params.scale_head_stride);
  let scale = vec4<f32>(scales[scale_at.x], scales[scale_at.y], scales[scale_at.z], scales[scale_at.w]);
  var shift_up = vec4<f32>(0.0);
  if (params.has_bias == 1u) { shift_up = vec4<f32>(bias[inside.x], bias[inside.y], bias[inside.z], bias[inside.w]); }
  var shift = 0u;
  if (A_KIND != 0u) { shift = shifts[candidate]; }

  let last = params.rows - 1u;
  let a_first = candidate * params.a_candidate_stride + batch * params.rows * words;
  let b_first = inside + vec4<u32>(candidate * params.b_candidate_stride + batch * params.b_batch_stride);
  let y_first = params.y_offset + image * params.y_image_stride + head * params.y_head_stride;
  let gradient_first = params.gradient_offset + image * params.gradient_image_stride + head * params.gradient_head_stride;

  var sum = vec4<f32>(0.0);
  let end = min((group + 1u) * ROWS_PER_GROUP, params.rows);
  for (var row0 = group * ROWS_PER_GROUP; row0 < end; row0 += 8u) {
    let a_low = a_first + min(row0 + (subgroup_lane & 3u), last) * words;
    let a_high = a_first + min(row0 + 4u + (subgroup_lane & 3u), last) * words;
    var b_at = b_first;
    // |acc| < 2^31 by the bound above. The zeros are written out: Dawn's compiler (webgpu 0.6.2) clears a plainly declared array
    // only on the first turn of a loop.
    var acc = array<vec4<i32>, 8>();
    for (var k = 0u; k < words; k++) {
      let c0 = unpack4xI8(b[b_at.x]);
      let c1 = unpack4xI8(b[b_at.y]);
      let c2 = unpack4xI8(b[b_at.z]);
      let c3 = unpack4xI8(b[b_at.w]);
      let b0 = vec4<i32>(c0.x, c1.x, c2.x, c3.x);
      let b1 = vec4<i32>(c0.y, c1.y, c2.y, c3.y);
      let b2 = vec4<i32>(c0.z, c1.z, c2.z, c3.z);
      let b3 = vec4<i32>(c0.w, c1.w, c2.w, c3.w);
      let low = decode_codes(a[a_low + k], A_KIND, A_BITS, shift);
      let high = decode_codes(a[a_high + k], A_KIND, A_BITS, shift);
      acc[0] += row_sum(subgroupBroadcast(low, 0u), b0, b1, b2, b3);
      acc[1] += row_sum(subgroupBroadcast(low, 1u), b0, b1, b2, b3);
      acc[2] += row_sum(subgroupBroadcast(low, 2u), b0, b1, b2, b3);
      acc[3] += row_sum(subgroupBroadcast(low, 3u), b0, b1, b2, b3);
      acc[4] += row_sum(subgroupBroadcast(high, 0u), b0, b1, b2, b3);
      acc[5] += row_sum(subgroupBroadcast(high, 1u), b0, b1, b2, b3);
      acc[6] += row_sum(subgroupBroadcast(high, 2u), b0, b1, b2, b3);
      acc[7] += row_sum(subgroupBroadcast(high, 3u), b0, b1, b2, b3);
      b_at += vec4<u32>(params.columns);
    }
    for (var i = 0u; i < 8u && row0 + i < end; i++) {
      sum += row_score(acc[i], row0 + i, inside, y_first, gradient_first, scale, shift_up);
    }
  }
  let out = ((candidate * batches + batch) * groups + group) * params.columns;
  for (var j = 0u; j < 4u; j++) {
    if (column[j] < params.columns) { partials[out + column[j]] = sum[j]; }
  }
}
