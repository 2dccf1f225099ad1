// fake_quantize: the values of the codes of a strided view, f32, for many candidates: quantizers without a common integer product.
//
// in   source      f32, element (image, head, row, depth) at offset + image * image_stride + head * head_stride
//                  + row * row_stride + depth * depth_stride
// in   table       vec4<f32> [candidates][groups_per_candidate], see KIND; a 1/s is f32(1 / s)
// in   statistics  vec4<f32> [images * heads * rows], x the largest magnitude of the row, read when KIND is 3
// out  values      f32 [candidates][images * heads][rows][depth], dense
//
// The group of an element is head * group_head_stride + row / rows_per_group * depth_groups + depth / depth_per_group. round: ties
// to even.
//   KIND 0  uniform            table (s, 1/s, zero): s (clamp(round(x 1/s) + zero, low, high) - zero)
//   KIND 1  published softmax  table (s, 1/s, split, 1/high): clamp(round(max(x, split) high), 0, high) 1/high
//                              + s clamp(round(min(x, split) 1/s), 0, high); probabilities at or above the split get the split on top,
//                              as the published code of PTQ4ViT computes
//   KIND 2  signed ranges      table (s+, 1/s+, s-, 1/s-): s+ clamp(round(x 1/s+), 0, high) + s- clamp(round(x 1/s-), low, 0)
//   KIND 3  per token          table (high + 1/2, 1/(high + 1/2)): uniform with s = 1/(high + 1/2) times the row's largest magnitude
// One f32 multiplication before and one after the rounding: bit-exact but for the sums of KIND 1 and 2 (one rounding) and the division
// of KIND 3 (2.5 units in the last place, which decides the rounding of ties). One invocation an element.
//
// | binding | name       | space          | type             |
// |---------|------------|----------------|------------------|
// | 0       | source     | storage, read  | array<f32>       |
// | 1       | table      | storage, read  | array<vec4<f32>> |
// | 2       | statistics | storage, read  | array<vec4<f32>> |
// | 3       | values     | storage, write | array<f32>       |
// | 4       | params     | uniform        | Params           |

override WORKGROUP_SIZE: u32 = 64;
override KIND: u32 = 0;

struct Params {
  candidates: u32,
  images: u32,
  heads: u32,
  rows: u32,
  depth: u32,
  offset: u32,
  image_stride: u32,
  head_stride: u32,
  row_stride: u32,
  depth_stride: u32,
  groups_per_candidate: u32,
  group_head_stride: u32,
  rows_per_group: u32,
  depth_groups: u32,
  depth_per_group: u32,
  low: f32,
  high: f32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> statistics: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn value_of(x: f32, entry: vec4<f32>, row: u32) -> f32 {
  if (KIND == 0u) {
    return entry.x * (clamp(round(x * entry.y) + entry.z, params.low, params.high) - entry.z);
  }
  if (KIND == 1u) {
    let high = entry.w * clamp(round(clamp(x, entry.z, 1.0) * params.high), 0.0, params.high);
    return high + entry.x * clamp(round(clamp(x, 0.0, entry.z) * entry.y), 0.0, params.high);
  }
  if (KIND == 2u) {
    return entry.x * clamp(round(x * entry.y), 0.0, params.high) + entry.z * clamp(round(x * entry.w), params.low, 0.0);
  }
  let largest = statistics[row].x;
  if (largest == 0.0) { return 0.0; }
  return entry.y * largest * clamp(round(x * (entry.x / largest)), params.low, params.high);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn fake_quantize(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let d = index % params.depth;
  let line = index / params.depth;
  let row = line % params.rows;
  let batches = params.images * params.heads;
  let batch = line / params.rows % batches;
  let candidate = line / params.rows / batches;
  if (candidate >= params.candidates) { return; }
  let head = batch % params.heads;
  let at = params.offset + batch / params.heads * params.image_stride + head * params.head_stride + row * params.row_stride;
  let group = head * params.group_head_stride + row / params.rows_per_group * params.depth_groups + d / params.depth_per_group;
  let entry = table[candidate * params.groups_per_candidate + group];
  values[index] = value_of(source[at + d * params.depth_stride], entry, batch * params.rows + row);
}
