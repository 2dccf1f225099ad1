// gelu_f32: y = x * Phi(x), Phi the normal distribution function (exact GELU, not the tanh form), elementwise, f32.
//
// x, y are [count]. Phi(x) = (1 + erf(x / sqrt 2)) / 2. erf comes from lib_erf_f32.wgsl, at most
// 5e-7 off, so |y - exact| <= 4e-7 |x|; NMSE < 1e-12 against the twin (absolute
// accuracy: far in the negative tail, where y is below 1e-6, there is no relative accuracy).
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | x      | storage, read  | array<f32> |
// | 1       | y      | storage, write | array<f32> |
// | 2       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn gelu_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.count) { return; }
  let v = x[i];
  y[i] = 0.5 * v * (1.0 + erf(v * 0.70710678118654752));
}
