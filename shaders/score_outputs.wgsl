// score_outputs: errors of candidate outputs that are in memory, f32, by 32 rows and part of the columns: the scores of quantizers
// without a common integer product.
//
// in   outputs   f32 [candidates][images * heads][rows][columns], dense
// in   y         f32, the float output: element (image, head, row, column) at y_offset + image * y_image_stride
//                + head * y_head_stride + row * y_row_stride + column
// in   gradient  f32, dL/dy at the same places, read when METRIC is 1
// out  partials  f32 [candidates][images * heads][ceil(rows / 32)][parts]; part p holds columns p * columns / parts ... (p + 1) *
//                columns / parts
//
// METRIC 0 mse e^2, 1 hessian (g e)^2, 2 l1 |e|, 3 linear-weighted |y| e^2, 4 square-weighted (y e)^2, with e = y - output, summed;
// 5 cosine, 6 pearson: 1 - similarity of the part's columns in a row, summed over rows. Similarities as
// torch.nn.functional.cosine_similarity with eps 1e-8; pearson after both means are taken off.
//
// Blocks of 32 columns are summed in index order, then the blocks, then the rows: a relative error below (32 + columns / parts / 32
// + 32) * 2^-24 of sums of one sign. One invocation a partial.
//
// | binding | name     | space          | type       |
// |---------|----------|----------------|------------|
// | 0       | outputs  | storage, read  | array<f32> |
// | 1       | y        | storage, read  | array<f32> |
// | 2       | gradient | storage, read  | array<f32> |
// | 3       | partials | storage, write | array<f32> |
// | 4       | params   | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;
override METRIC: u32 = 0;

const BLOCK: u32 = 32;
const ROWS_PER_GROUP: u32 = 32;
const EPS: f32 = 1e-8;

struct Params {
  candidates: u32,
  images: u32,
  heads: u32,
  rows: u32,
  columns: u32,
  parts: u32,
  y_offset: u32,
  y_image_stride: u32,
  y_head_stride: u32,
  y_row_stride: u32,
}

@group(0) @binding(0) var<storage, read> outputs: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn element_error(output: f32, at: u32) -> f32 {
  let target_y = y[at];
  let error = target_y - output;
  if (METRIC == 1u) {
    let weighted = gradient[at] * error;
    return weighted * weighted;
  }
  if (METRIC == 2u) { return abs(error); }
  if (METRIC == 3u) { return abs(target_y) * error * error; }
  if (METRIC == 4u) {
    let weighted = target_y * error;
    return weighted * weighted;
  }
  return error * error;
}

fn row_error(output_at: u32, y_at: u32, width: u32) -> f32 {
  var sum = 0.0;
  for (var start = 0u; start < width; start += BLOCK) {
    var block = 0.0;
    for (var i = start; i < min(start + BLOCK, width); i++) { block += element_error(outputs[output_at + i], y_at + i); }
    sum += block;
  }
  return sum;
}

fn row_dissimilarity(output_at: u32, y_at: u32, width: u32) -> f32 {
  var means = vec2<f32>(0.0);
  if (METRIC == 6u) {
    for (var start = 0u; start < width; start += BLOCK) {
      var block = vec2<f32>(0.0);
      for (var i = start; i < min(start + BLOCK, width); i++) { block += vec2<f32>(y[y_at + i], outputs[output_at + i]); }
      means += block;
    }
    means /= f32(width);
  }
  var sums = vec3<f32>(0.0);
  for (var start = 0u; start < width; start += BLOCK) {
    var block = vec3<f32>(0.0);
    for (var i = start; i < min(start + BLOCK, width); i++) {
      let pair = vec2<f32>(y[y_at + i], outputs[output_at + i]) - means;
      block += vec3<f32>(pair.x * pair.y, pair.x * pair.x, pair.y * pair.y);
    }
    sums += block;
  }
  let norms = max(sqrt(sums.yz), vec2<f32>(EPS));
  return 1.0 - sums.x / (norms.x * norms.y);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn score_outputs(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
  let groups = (params.rows + ROWS_PER_GROUP - 1u) / ROWS_PER_GROUP;
  let batches = params.images * params.heads;
  let index = gid.y * workgroups.x * WORKGROUP_SIZE + gid.x;
  let part = index % params.parts;
  let group = index / params.parts % groups;
  let line = index / params.parts / groups; // candidate and batch
  if (line >= params.candidates * batches) { return; }
  let batch = line % batches;
  let width = params.columns / params.parts;
  let y_first = params.y_offset + batch / params.heads * params.y_image_stride + batch % params.heads * params.y_head_stride
    + part * width;
  var sum = 0.0;
  for (var row = group * ROWS_PER_GROUP; row < min((group + 1u) * ROWS_PER_GROUP, params.rows); row++) {
    let output_at = (line * params.rows + row) * params.columns + part * width;
    let y_at = y_first + row * params.y_row_stride;
    if (METRIC < 5u) { sum += row_error(output_at, y_at, width); } else { sum += row_dissimilarity(output_at, y_at, width); }
  }
  partials[index] = sum;
}
