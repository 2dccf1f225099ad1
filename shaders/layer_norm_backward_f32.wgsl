// layer_norm_backward_f32: gradient of layer_norm_f32 with respect to its input, f32.
//
// With xhat = (x - mean) / sqrt(variance + epsilon) and g = dy * gain, both of one row:
//   dx = (g - mean(g) - xhat * mean(g * xhat)) / sqrt(variance + epsilon)
// x, dy, dx are [rows, features]; gain is [features]. There are no gradients of gain and shift.
// Numbers: f32, sums in index order inside one lane (a row is one lane): independent of rows and grid. NMSE < 1e-11.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | x      | storage, read  | array<f32> |
// | 1       | gain   | storage, read  | array<f32> |
// | 2       | dy     | storage, read  | array<f32> |
// | 3       | dx     | storage, write | array<f32> |
// | 4       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 32;

struct Params {
  rows: u32,
  features: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gain: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn layer_norm_backward_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (row >= params.rows) { return; }
  let first = row * params.features;
  let count = f32(params.features);
  var sum = 0.0;
  for (var i = 0u; i < params.features; i++) { sum += x[first + i]; }
  let mean = sum / count;
  var squares = 0.0;
  for (var i = 0u; i < params.features; i++) {
    let d = x[first + i] - mean;
    squares = fma(d, d, squares);
  }
  let scale = 1.0 / sqrt(squares / count + params.epsilon);
  var sum_g = 0.0;
  var sum_gx = 0.0;
  for (var i = 0u; i < params.features; i++) {
    let g = dy[first + i] * gain[i];
    sum_g += g;
    sum_gx = fma(g, (x[first + i] - mean) * scale, sum_gx);
  }
  let mean_g = sum_g / count;
  let mean_gx = sum_gx / count;
  for (var i = 0u; i < params.features; i++) {
    let normal = (x[first + i] - mean) * scale;
    dx[first + i] = (dy[first + i] * gain[i] - mean_g - normal * mean_gx) * scale;
  }
}
