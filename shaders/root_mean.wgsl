// root_mean: square roots of means, repeated: what the score of a candidate squares again.
//
// in   sums  f32 [count], not negative
// out  y     f32 [repeats][count]: sqrt(sums[i] * factor), the same for every repeat
//
// A square root and a product: within 4 ULP.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | sums   | storage, read  | array<f32> |
// | 1       | y      | storage, write | array<f32> |
// | 2       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  count: u32,
  repeats: u32,
  factor: f32,
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn root_mean(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.count * params.repeats) { return; }
  y[i] = sqrt(sums[i % params.count] * params.factor);
}
