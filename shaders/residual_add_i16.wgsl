// residual_add_i16: y = saturate(a * multiplier_a / 2^shift_a + b * multiplier_b / 2^shift_b) on 16-bit integers, two a word
// (METHOD: integer-only inference, residual stream).
//
// a, b, y are u32 [words]; each term is rounded half toward +infinity by itself and cut to 31 bits, the sum to 16. Bit-exact.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | a      | storage, read  | array<u32> |
// | 1       | b      | storage, read  | array<u32> |
// | 2       | y      | storage, write | array<u32> |
// | 3       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  words: u32,
  multiplier_a: u32,
  shift_a: u32,
  multiplier_b: u32,
  shift_b: u32,
}

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

fn add(left: i32, right: i32) -> i32 {
  return saturating_add_16(
    dyadic_rescale_16(left, params.multiplier_a, params.shift_a),
    dyadic_rescale_16(right, params.multiplier_b, params.shift_b),
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn residual_add_i16(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.words) { return; }
  let left = unpack_2xi16(a[i]);
  let right = unpack_2xi16(b[i]);
  y[i] = pack_2xi16(vec2<i32>(add(left.x, right.x), add(left.y, right.y)));
}
