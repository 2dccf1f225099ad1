// softmax_backward_f32: gradient of softmax_f32 with respect to its input, from its output, f32.
//
//   dx = scale * y * (dy - sum(dy * y)) over each row; y, dy, dx are [rows, columns]
// Numbers: f32, the sum in index order inside one lane (a row is one lane): independent of rows and grid. NMSE < 1e-11.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | y      | storage, read  | array<f32> |
// | 1       | dy     | storage, read  | array<f32> |
// | 2       | dx     | storage, write | array<f32> |
// | 3       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 32;

struct Params {
  rows: u32,
  columns: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_backward_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (row >= params.rows) { return; }
  let first = row * params.columns;
  var inner = 0.0;
  for (var i = 0u; i < params.columns; i++) { inner = fma(dy[first + i], y[first + i], inner); }
  for (var i = 0u; i < params.columns; i++) {
    dx[first + i] = params.scale * y[first + i] * (dy[first + i] - inner);
  }
}
