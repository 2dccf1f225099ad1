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
// multiplication, so the codes are bit-exact on every adapter. One invocation a word of a matrix, for all candidates: what it costs to
// find and read the values is paid once. Matrices along z.
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
  let size = words * params.rows;
  let inside = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (inside >= size) { return; }
  var row = inside / words;
  var word = inside % words;
  if (DEPTH_MAJOR == 1u) {
    word = inside / params.rows;
    row = inside % params.rows;
  }
  let row_group = row / params.rows_per_group;
  let opposite = bitcast<u32>(i32(-params.zero)) & 0xffu;
  let matrices = params.images * params.heads;
  for (var matrix = gid.z; matrix < matrices; matrix += groups.z) {
    let image = matrix / params.heads;
    let head = matrix % params.heads;
    let first = params.offset + image * params.image_stride + head * params.head_stride + row * params.row_stride;
    var values = vec4<f32>();
    var mask = 0u;
    for (var lane = 0u; lane < 4u; lane++) {
      let d = word * 4u + lane;
      if (d < params.depth) {
        values[lane] = source[first + d * params.depth_stride];
        mask |= 0xffu << (8u * lane);
      }
    }
    let group = head * params.group_head_stride + row_group;
    for (var candidate = 0u; candidate < params.candidates; candidate++) {
      let inverse = inverse_scales[candidate * params.groups_per_candidate + group];
      let steps = round(values * inverse); // round: ties to even, as torch.round
      let code = vec4<i32>(clamp(steps + params.zero, vec4<f32>(params.low), vec4<f32>(params.high)));
      let bytes = (bitcast<vec4<u32>>(code) & vec4<u32>(0xffu)) << vec4<u32>(0u, 8u, 16u, 24u);
      let packed = (bytes.x | bytes.y | bytes.z | bytes.w) & mask;
      let place = candidate * matrices + matrix;
      if (OFFSET == 1u) {
        let line = (place * params.rows + row) * 2u * words + word;
        codes[line] = packed;
        codes[line + words] = (opposite * 0x01010101u) & mask;
      } else {
        for (var copy = 0u; copy < REPEAT; copy++) { codes[(place * REPEAT + copy) * size + inside] = packed; }
      }
    }
  }
}
