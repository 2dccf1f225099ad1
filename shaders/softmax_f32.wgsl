// softmax_f32: y = softmax(scale * x) over each row, f32.
//
// x, y are [rows, columns]. The row maximum of scale * x is subtracted first, so no finite input overflows.
// Numbers: f32; WGSL exp may be off by 3 + 2 |argument| ULP, so NMSE < 1e-11 against the twin; a row sums to 1 within 1e-5.
// Sums run in index order inside one lane (a row is one lane): independent of rows and grid.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | x      | storage, read  | array<f32> |
// | 1       | y      | storage, write | array<f32> |
// | 2       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 32;

struct Params {
  rows: u32,
  columns: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (row >= params.rows) { return; }
  let first = row * params.columns;
  var largest = params.scale * x[first];
  for (var i = 1u; i < params.columns; i++) { largest = max(largest, params.scale * x[first + i]); }
  var sum = 0.0;
  for (var i = 0u; i < params.columns; i++) {
    let e = exp(params.scale * x[first + i] - largest);
    y[first + i] = e;
    sum += e;
  }
  let share = 1.0 / sum;
  for (var i = 0u; i < params.columns; i++) { y[first + i] *= share; }
}
