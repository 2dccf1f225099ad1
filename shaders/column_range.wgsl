// column_range: smallest and largest value of each column of each group of rows.
//
// in   source  f32 [groups][rows][columns]
// out  ranges  f32 [groups][columns][2]: min, max
//
// Exact. One invocation a column of a group; adjacent invocations read adjacent columns.
//
// | binding | name   | space          | type             |
// |---------|--------|----------------|------------------|
// | 0       | source | storage, read  | array<f32>       |
// | 1       | ranges | storage, write | array<vec2<f32>> |
// | 2       | params | uniform        | Params           |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  groups: u32,
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> ranges: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn column_range(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
  let index = gid.y * workgroups.x * WORKGROUP_SIZE + gid.x;
  if (index >= params.groups * params.columns) { return; }
  let first = index / params.columns * params.rows * params.columns + index % params.columns;
  var low = source[first];
  var high = low;
  for (var row = 1u; row < params.rows; row++) {
    let x = source[first + row * params.columns];
    low = min(low, x);
    high = max(high, x);
  }
  ranges[index] = vec2<f32>(low, high);
}
