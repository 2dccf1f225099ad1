// scale_rows_f32: every row of a matrix times a factor of its own.
//
// in   source       f32 [rows][columns]
// in   factors      f32 [rows]
// out  destination  f32 [rows][columns]
//
// One correctly rounded f32 multiplication an element: bit-exact on every adapter. One invocation for 4 elements of a row.
//
// | binding | name        | space          | type       |
// |---------|-------------|----------------|------------|
// | 0       | source      | storage, read  | array<f32> |
// | 1       | factors     | storage, read  | array<f32> |
// | 2       | destination | storage, write | array<f32> |
// | 3       | params      | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> destination: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn scale_rows_f32(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let quads = (params.columns + 3u) / 4u;
  let row = index / quads;
  if (row >= params.rows) { return; }
  let first = index % quads * 4u;
  let factor = factors[row];
  for (var column = first; column < min(first + 4u, params.columns); column++) {
    destination[row * params.columns + column] = source[row * params.columns + column] * factor;
  }
}
