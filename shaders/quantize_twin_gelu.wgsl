// quantize_twin_gelu: twin uniform codes of post-GELU activations, for many candidate scales at once (PTQ4ViT, section 3.2).
//
// in   source  f32 [rows][depth] from element offset; rows counts all images
// in   table   f32 [candidates][2]: 1 / scale_r1, 1 / scale_r2
// out  codes   u32 [candidates][rows][words], four codes a word, depth d in byte d % 4; words = ceil(depth / 4)
//
// A code is a range flag (bit `bits` - 1) and a magnitude of `bits` - 1 bits below it:
//   R1 (flag 0): x <  0, magnitude = min(round(-x / scale_r1), 2^(bits - 1) - 1)
//   R2 (flag 1): x >= 0, magnitude = min(round(x / scale_r2), 2^(bits - 1) - 1)
// Ties to even; every magnitude 0 is stored as code 0. 1 / scale is the table's f32, the product one correctly rounded f32
// multiplication: the codes are bit-exact on every adapter. Bytes past the depth are 0. One invocation a word.
//
// | binding | name   | space          | type             |
// |---------|--------|----------------|------------------|
// | 0       | source | storage, read  | array<f32>       |
// | 1       | table  | storage, read  | array<vec2<f32>> |
// | 2       | codes  | storage, write | array<u32>       |
// | 3       | params | uniform        | Params           |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  candidates: u32,
  rows: u32,
  depth: u32,
  offset: u32,
  bits: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

fn encode(x: f32, entry: vec2<f32>) -> u32 {
  let is_r2 = x >= 0.0;
  let steps = round(abs(x) * select(entry.x, entry.y, is_r2)); // round: ties to even, as torch.round
  let flag = 1u << (params.bits - 1u);
  let magnitude = u32(clamp(steps, 0.0, f32(flag - 1u)));
  return magnitude | select(0u, flag, is_r2 && magnitude != 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn quantize_twin_gelu(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let words = (params.depth + 3u) / 4u;
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let candidate = index / (words * params.rows);
  if (candidate >= params.candidates) { return; }
  let row = index / words % params.rows;
  let first = index % words * 4u;
  let entry = table[candidate];
  var packed = 0u;
  for (var lane = 0u; lane < 4u; lane++) {
    let d = first + lane;
    if (d < params.depth) { packed |= encode(source[params.offset + row * params.depth + d], entry) << (8u * lane); }
  }
  codes[index] = packed;
}
