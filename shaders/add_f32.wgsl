// add_f32: y = (a + b) * scale, elementwise, f32. Exact to one rounding per operation.
//
// a, b, y are [count]; a and b may be the same buffer.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | a      | storage, read  | array<f32> |
// | 1       | b      | storage, read  | array<f32> |
// | 2       | y      | storage, write | array<f32> |
// | 3       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  count: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn add_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.count) { return; }
  y[i] = (a[i] + b[i]) * params.scale;
}
