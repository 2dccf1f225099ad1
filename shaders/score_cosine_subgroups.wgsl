// score_cosine_subgroups: score_cosine with the decoded codes of A shared by the lanes of a subgroup (PTQ4ViT's Base PTQ metric).
//
// in   a, b, scales, bias, y, shifts   as in score_elementwise
// out  cosines  f32 [candidates][batch][rows][parts]; part p holds columns p * columns / parts ... (p + 1) * columns / parts
//
// acc and yhat as in score_elementwise (same exactness and bound: twin 2^shift * (2^(A_BITS-1) - 1) * depth * 2^(w-1) < 2^31,
// uniform 2^(A_BITS-1) * depth * 2^(w-1) < 2^31); cosine = sum y * yhat / (max(|y|, eps) * max(|yhat|, eps)), eps = 1e-8, as
// torch.nn.functional.cosine_similarity. f32, absolute error <= 4e-6. With CENTRED 1 the means of the part are taken off y and yhat
// first (pearson): its sums are of y - p and yhat - p, p the median of the part's first, middle and last y, so that neither a
// large mean nor one outlier cancels; error <= 2e-5.
//
// The order of the sums is a constant of the method: the columns of a part fall into 32 classes, column modulo 32 counted from
// the part's first; a class is summed in column order, then the classes in index order. It depends neither on WX nor on which
// candidates and images a dispatch holds.
//
// A workgroup of WX = 16 or 32 lanes makes 8 rows of one part, 4 * WX columns a turn; each lane owns 4 columns, WX apart: one
// class of 32 lanes, two of 16. Lane l of a subgroup loads and decodes rows l % 4 and 4 + l % 4, and lanes 0 to 3 broadcast them:
// right for every subgroup of at least 4 lanes. The sums are the same, in the same order, as in score_cosine. Reads past the matrix
// are clamped to its last row or column and left out of the sums.
//
// | binding | name    | space          | type       |
// |---------|---------|----------------|------------|
// | 0       | a       | storage, read  | array<u32> |
// | 1       | b       | storage, read  | array<u32> |
// | 2       | scales  | storage, read  | array<f32> |
// | 3       | bias    | storage, read  | array<f32> |
// | 4       | y       | storage, read  | array<f32> |
// | 5       | shifts  | storage, read  | array<u32> |
// | 6       | cosines | storage, write | array<f32> |
// | 7       | params  | uniform        | Params     |

enable subgroups;

override WX: u32 = 32;
override A_KIND: u32 = 0;
override A_BITS: u32 = 8;
override CENTRED: u32 = 0;

const CLASSES: u32 = 32; // a constant of the method, not of the workgroup

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
  parts: u32,
}

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> y: array<f32>;
@group(0) @binding(5) var<storage, read> shifts: array<u32>;
@group(0) @binding(6) var<storage, read_write> cosines: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

/// y * yhat, y^2 and yhat^2 summed by row and class.
var<workgroup> class_sums: array<vec3<f32>, 256>;
/// y and yhat summed likewise, with CENTRED.
var<workgroup> class_totals: array<vec2<f32>, 256>;

/// The sums of a row's classes in one lane: x is class `lane`, y class `lane + 16` where a lane has two.
struct RowSums {
  dot: vec2<f32>,
  power: vec2<f32>,
  power_hat: vec2<f32>,
  total: vec2<f32>,
  total_hat: vec2<f32>,
}

fn add_columns(sum: vec2<f32>, terms: vec4<f32>) -> vec2<f32> {
  if (WX == 16u) { return (sum + terms.xy) + terms.zw; }
  return vec2<f32>((((sum.x + terms.x) + terms.y) + terms.z) + terms.w, 0.0);
}

/// A value amid a part of a row: the median of three of its y.
fn pivot_of(first: u32) -> f32 {
  let width = params.columns / params.parts;
  let a = y[first];
  let b = y[first + width / 2u];
  let c = y[first + width - 1u];
  return max(min(a, b), min(max(a, b), c));
}

/// `y_row` is the row's first column, `first` the part's.
fn add_row(
  sums: RowSums, acc: vec4<i32>, y_row: u32, first: u32, column: vec4<u32>, counts: vec4<bool>,
  scale: vec4<f32>, shift_up: vec4<f32>,
) -> RowSums {
  let y_at = column + vec4<u32>(y_row);
  var value = vec4<f32>(y[y_at.x], y[y_at.y], y[y_at.z], y[y_at.w]);
  var value_hat = vec4<f32>(acc) * scale + shift_up;
  if (CENTRED == 1u) {
    let pivot = vec4<f32>(pivot_of(y_row + first));
    value -= pivot;
    value_hat -= pivot;
  }
  let target_y = select(vec4<f32>(0.0), value, counts);
  let y_hat = select(vec4<f32>(0.0), value_hat, counts);
  var next = sums;
  next.dot = add_columns(sums.dot, target_y * y_hat);
  next.power = add_columns(sums.power, target_y * target_y);
  next.power_hat = add_columns(sums.power_hat, y_hat * y_hat);
  if (CENTRED == 1u) {
    next.total = add_columns(sums.total, target_y);
    next.total_hat = add_columns(sums.total_hat, y_hat);
  }
  return next;
}

fn store_row(row: u32, lane: u32, sums: RowSums) {
  class_sums[row * CLASSES + lane] = vec3<f32>(sums.dot.x, sums.power.x, sums.power_hat.x);
  if (WX == 16u) { class_sums[row * CLASSES + 16u + lane] = vec3<f32>(sums.dot.y, sums.power.y, sums.power_hat.y); }
  if (CENTRED == 1u) {
    class_totals[row * CLASSES + lane] = vec2<f32>(sums.total.x, sums.total_hat.x);
    if (WX == 16u) { class_totals[row * CLASSES + 16u + lane] = vec2<f32>(sums.total.y, sums.total_hat.y); }
  }
}

@compute @workgroup_size(WX)
fn score_cosine_subgroups(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let words = (params.depth + 3u) / 4u;
  let row_tiles = (params.rows + 7u) / 8u;
  let batches = params.images * params.heads;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let part = index % params.parts;
  let row0 = index / params.parts % row_tiles * 8u;
  let batch = index / (params.parts * row_tiles) % batches;
  let candidate = index / (params.parts * row_tiles * batches);
  if (candidate >= params.candidates) { return; } // the whole workgroup
  let head = batch % params.heads;
  let image = batch / params.heads;
  let width = params.columns / params.parts;

  let scale_first = candidate * params.scale_candidate_stride + head * params.scale_head_stride;
  var shift = 0u;
  if (A_KIND != 0u) { shift = shifts[candidate]; }
  let last = params.rows - 1u;
  let a_first = candidate * params.a_candidate_stride + batch * params.rows * words;
  let a_low = a_first + min(row0 + (subgroup_lane & 3u), last) * words;
  let a_high = a_first + min(row0 + 4u + (subgroup_lane & 3u), last) * words;
  let b_first = candidate * params.b_candidate_stride + batch * params.b_batch_stride;
  let y_first = params.y_offset + image * params.y_image_stride + head * params.y_head_stride;
  let y0 = y_first + min(row0 + 0u, last) * params.y_row_stride;
  let y1 = y_first + min(row0 + 1u, last) * params.y_row_stride;
  let y2 = y_first + min(row0 + 2u, last) * params.y_row_stride;
  let y3 = y_first + min(row0 + 3u, last) * params.y_row_stride;
  let y4 = y_first + min(row0 + 4u, last) * params.y_row_stride;
  let y5 = y_first + min(row0 + 5u, last) * params.y_row_stride;
  let y6 = y_first + min(row0 + 6u, last) * params.y_row_stride;
  let y7 = y_first + min(row0 + 7u, last) * params.y_row_stride;

  var sums0 = RowSums();
  var sums1 = RowSums();
  var sums2 = RowSums();
  var sums3 = RowSums();
  var sums4 = RowSums();
  var sums5 = RowSums();
  var sums6 = RowSums();
  var sums7 = RowSums();
  for (var start = 0u; start < width; start += 4u * WX) {
    let offset = vec4<u32>(start + local.x) + vec4<u32>(0u, WX, 2u * WX, 3u * WX);
    let counts = offset < vec4<u32>(width);
    let column = min(offset, vec4<u32>(width - 1u)) + vec4<u32>(part * width);
    let scale_at = column * params.scale_column_stride + vec4<u32>(scale_first);
    let scale = vec4<f32>(scales[scale_at.x], scales[scale_at.y], scales[scale_at.z], scales[scale_at.w]);
    var shift_up = vec4<f32>(0.0);
    if (params.has_bias == 1u) { shift_up = vec4<f32>(bias[column.x], bias[column.y], bias[column.z], bias[column.w]); }
    var b_at = column + vec4<u32>(b_first);
    // |acc| < 2^31 by the bound above. The zeros are written out: Dawn's compiler (webgpu 0.6.2) clears a plainly declared array
    // only on the first turn of a loop. Rows are written out too: an indexed array would live in memory, not in registers.
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
    sums0 = add_row(sums0, acc[0], y0, part * width, column, counts, scale, shift_up);
    sums1 = add_row(sums1, acc[1], y1, part * width, column, counts, scale, shift_up);
    sums2 = add_row(sums2, acc[2], y2, part * width, column, counts, scale, shift_up);
    sums3 = add_row(sums3, acc[3], y3, part * width, column, counts, scale, shift_up);
    sums4 = add_row(sums4, acc[4], y4, part * width, column, counts, scale, shift_up);
    sums5 = add_row(sums5, acc[5], y5, part * width, column, counts, scale, shift_up);
    sums6 = add_row(sums6, acc[6], y6, part * width, column, counts, scale, shift_up);
    sums7 = add_row(sums7, acc[7], y7, part * width, column, counts, scale, shift_up);
  }
  store_row(0u, local.x, sums0);
  store_row(1u, local.x, sums1);
  store_row(2u, local.x, sums2);
  store_row(3u, local.x, sums3);
  store_row(4u, local.x, sums4);
  store_row(5u, local.x, sums5);
  store_row(6u, local.x, sums6);
  store_row(7u, local.x, sums7);
  workgroupBarrier();
  let row = row0 + local.x;
  if (local.x < 8u && row < params.rows) {
    var sums = vec3<f32>(0.0);
    for (var i = 0u; i < CLASSES; i++) { sums += class_sums[local.x * CLASSES + i]; }
    if (CENTRED == 1u) {
      var totals = vec2<f32>(0.0);
      for (var i = 0u; i < CLASSES; i++) { totals += class_totals[local.x * CLASSES + i]; }
      let means = totals / f32(width);
      sums -= vec3<f32>(totals.x * means.y, totals.x * means.x, totals.y * means.y);
      sums = vec3<f32>(sums.x, max(sums.yz, vec2<f32>(0.0)));
    }
    let norms = max(sqrt(sums.yz), vec2<f32>(1e-8));
    cosines[((candidate * batches + batch) * params.rows + row) * params.parts + part] = sums.x / (norms.x * norms.y);
  }
}
