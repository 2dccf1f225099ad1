// score_cosine: cosine similarity of each output row with its quantized twin, for many candidates (PTQ4ViT's Base PTQ metric).
//
// in   a, b, scales, bias, y, shifts   as in score_elementwise
// out  cosines  f32 [candidates][batch][rows][parts]; part p holds columns p * columns / parts ... (p + 1) * columns / parts
//
// acc and yhat as in score_elementwise (same exactness and bound: twin 2^shift * (2^(A_BITS-1) - 1) * depth * 2^(w-1) < 2^31,
// uniform 2^(A_BITS-1) * depth * 2^(w-1) < 2^31); cosine = sum y * yhat / (max(|y|, eps) * max(|yhat|, eps)), eps = 1e-8, as
// torch.nn.functional.cosine_similarity. f32, absolute error <= 4e-6. The order of the sums is fixed: over the columns of a lane
// (4 accumulators), then over the 32 lanes; LANES is a constant of the method.
//
// A workgroup makes 8 rows of one part; in each turn a lane owns 4 columns, LANES apart. Reads past the matrix are clamped to its
// last row or column and left out of the sums.
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

override A_KIND: u32 = 0;
override A_BITS: u32 = 8;

const LANES: u32 = 32;

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

/// y * yhat, y^2 and yhat^2 summed by lane and row.
var<workgroup> lane_sums: array<vec3<f32>, 256>;

fn decode(word: u32, shift: u32) -> vec4<i32> {
  if (A_KIND == 0u) { return unpack4xI8(word); }
  let mask = 0x01010101u * ((1u << (A_BITS - 1u)) - 1u);
  let magnitude = vec4<i32>(unpack4xU8(word & mask));
  let flag_bits = vec4<u32>(A_BITS - 1u, A_BITS + 7u, A_BITS + 15u, A_BITS + 23u);
  let flag = (vec4<u32>(word) >> flag_bits) & vec4<u32>(1u);
  if (A_KIND == 1u) { return magnitude << (flag * shift); }
  return select(-magnitude, magnitude << vec4<u32>(shift), flag == vec4<u32>(1u));
}

fn row_sum(row: vec4<i32>, b0: vec4<i32>, b1: vec4<i32>, b2: vec4<i32>, b3: vec4<i32>) -> vec4<i32> {
  return row.x * b0 + row.y * b1 + row.z * b2 + row.w * b3;
}

fn sum4(x: vec4<f32>) -> f32 {
  return (x.x + x.y) + (x.z + x.w);
}

@compute @workgroup_size(32)
fn score_cosine(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
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
  let b_first = candidate * params.b_candidate_stride + batch * params.b_batch_stride;
  let y_first = params.y_offset + image * params.y_image_stride + head * params.y_head_stride;

  var dots = array<vec4<f32>, 8>();
  var powers = array<vec4<f32>, 8>();
  var powers_hat = array<vec4<f32>, 8>();
  for (var start = 0u; start < width; start += 4u * LANES) {
    let offset = vec4<u32>(start + local.x) + vec4<u32>(0u, LANES, 2u * LANES, 3u * LANES);
    let counts = offset < vec4<u32>(width);
    let column = min(offset, vec4<u32>(width - 1u)) + vec4<u32>(part * width);
    let scale_at = column * params.scale_column_stride + vec4<u32>(scale_first);
    let scale = vec4<f32>(scales[scale_at.x], scales[scale_at.y], scales[scale_at.z], scales[scale_at.w]);
    var shift_up = vec4<f32>(0.0);
    if (params.has_bias == 1u) { shift_up = vec4<f32>(bias[column.x], bias[column.y], bias[column.z], bias[column.w]); }
    var b_at = column + vec4<u32>(b_first);
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
      for (var i = 0u; i < 8u; i++) {
        let word = a[a_first + min(row0 + i, last) * words + k];
        acc[i] += row_sum(decode(word, shift), b0, b1, b2, b3);
      }
      b_at += vec4<u32>(params.columns);
    }
    for (var i = 0u; i < 8u; i++) {
      let y_at = column + vec4<u32>(y_first + min(row0 + i, last) * params.y_row_stride);
      let target_y = select(vec4<f32>(0.0), vec4<f32>(y[y_at.x], y[y_at.y], y[y_at.z], y[y_at.w]), counts);
      let y_hat = select(vec4<f32>(0.0), vec4<f32>(acc[i]) * scale + shift_up, counts);
      dots[i] += target_y * y_hat;
      powers[i] += target_y * target_y;
      powers_hat[i] += y_hat * y_hat;
    }
  }
  for (var i = 0u; i < 8u; i++) {
    lane_sums[i * LANES + local.x] = vec3<f32>(sum4(dots[i]), sum4(powers[i]), sum4(powers_hat[i]));
  }
  workgroupBarrier();
  let row = row0 + local.x;
  if (local.x < 8u && row < params.rows) {
    var sums = vec3<f32>(0.0);
    for (var lane = 0u; lane < LANES; lane++) { sums += lane_sums[local.x * LANES + lane]; }
    let norms = max(sqrt(sums.yz), vec2<f32>(1e-8));
    cosines[((candidate * batches + batch) * params.rows + row) * params.parts + part] = sums.x / (norms.x * norms.y);
  }
}
