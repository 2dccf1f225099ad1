// layer_norm_f32: y = (x - mean) / sqrt(variance + epsilon) * gain + shift over each row, f32.
//
// x, y are [rows, features]; gain, shift are [features]; the variance is the mean of squares around the mean (two passes).
// Numbers: f32, sums in index order inside one lane (a row is one lane): independent of rows and grid. NMSE < 1e-12.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | x      | storage, read  | array<f32> |
// | 1       | gain   | storage, read  | array<f32> |
// | 2       | shift  | storage, read  | array<f32> |
// | 3       | y      | storage, write | array<f32> |
// | 4       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 32;

struct Params {
  rows: u32,
  features: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gain: array<f32>;
@group(0) @binding(2) var<storage, read> shift: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn layer_norm_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
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
  for (var i = 0u; i < params.features; i++) {
    y[first + i] = fma((x[first + i] - mean) * scale, gain[i], shift[i]);
  }
}
