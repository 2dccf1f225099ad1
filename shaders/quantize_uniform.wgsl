// quantize_uniform: uniform codes of a strided view, for many candidate scales at once (PTQ4ViT, section 2.1).
//
// in   source          f32, element (image, head, row, depth) at offset + image * image_stride + head * head_stride
//                      + row * row_stride + depth * depth_stride
// in   inverse_scales  f32 [candidates][groups_per_candidate], f32(1 / scale)
// out  codes           u32, four signed 8-bit codes a word, depth d in byte d % 4; words = ceil(depth / 4), batch = images * heads
//                      DEPTH_MAJOR 0: [candidates][batch][rows][words]
//                      DEPTH_MAJOR 1: [candidates][batch][words][rows]
//                      REPEAT: how often the codes of each matrix are written, one after the other
//                      OFFSET 1, DEPTH_MAJOR 0: [candidates][batch][rows][2][words], the codes, then as often -zero: with operand B
//                      twice along the depth the product is that of code - zero
//
// code = clamp(round(x * inverse_scale) + zero, low, high), ties to even. The group of a row is
// head * group_head_stride + row / rows_per_group. Bytes past the depth are 0. The product is one correctly rounded f32
// multiplication, so the codes are bit-exact on every adapter. One invocation a word.
//
// | binding | name           | space          | type       |
// |---------|----------------|----------------|------------|
// | 0       | source         | storage, read  | array<f32> |
// | 1       | inverse_scales | storage, read  | array<f32> |
// | 2       | codes          | storage, write | array<u32> |
// | 3       | params         | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;
override DEPTH_MAJOR: u32 = 0;
override REPEAT: u32 = 1;
override OFFSET: u32 = 0;

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
  low: f32,
  high: f32,
  zero: f32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> inverse_scales: array<f32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn quantize_uniform(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let words = (params.depth + 3u) / 4u;
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let matrix = index / (words * params.rows);
  let inside = index % (words * params.rows);
  let image_index = matrix / params.heads;
  let head = matrix % params.heads;
  let image = image_index % params.images;
  let candidate = image_index / params.images;
  if (candidate >= params.candidates) { return; }
  var row = inside / words;
  var word = inside % words;
  if (DEPTH_MAJOR == 1u) {
    row = inside % params.rows;
    word = inside / params.rows;
  }
  let group = head * params.group_head_stride + row / params.rows_per_group;
  let inverse = inverse_scales[candidate * params.groups_per_candidate + group];
  let first = params.offset + image * params.image_stride + head * params.head_stride + row * params.row_stride;
  let opposite = bitcast<u32>(i32(-params.zero)) & 0xffu;
  var packed = 0u;
  var offsets = 0u;
  for (var lane = 0u; lane < 4u; lane++) {
    let d = word * 4u + lane;
    if (d < params.depth) {
      let steps = round(source[first + d * params.depth_stride] * inverse); // round: ties to even, as torch.round
      let code = i32(clamp(steps + params.zero, params.low, params.high));
      packed |= (bitcast<u32>(code) & 0xffu) << (8u * lane);
      offsets |= opposite << (8u * lane);
    }
  }
  if (OFFSET == 1u) {
    let line = (matrix * params.rows + row) * 2u * words + word;
    codes[line] = packed;
    codes[line + words] = offsets;
    return;
  }
  let size = words * params.rows;
  for (var copy = 0u; copy < REPEAT; copy++) { codes[(matrix * REPEAT + copy) * size + inside] = packed; }
}
