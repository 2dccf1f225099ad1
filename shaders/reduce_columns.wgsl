// reduce_columns: sums of equal parts of the columns of each row.
//
// in   source  f32 [rows][columns]
// out  sums    f32 [rows][parts], part p over columns p * columns / parts ... (p + 1) * columns / parts
//
// One invocation a sum. Blocks of 32 columns are summed in index order, then the blocks in index order: a fixed order, and for
// values of one sign a relative error below (32 + columns / parts / 32) * 2^-24, that is 7.6e-6 at 3072 columns.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | source | storage, read  | array<f32> |
// | 1       | sums   | storage, write | array<f32> |
// | 2       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

const BLOCK: u32 = 32; // a constant of the method: the order of summation

struct Params {
  rows: u32,
  columns: u32,
  parts: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn reduce_columns(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (index >= params.rows * params.parts) { return; }
  let width = params.columns / params.parts;
  let first = index * width; // row and part are adjacent: row * columns + part * width
  var sum = 0.0;
  for (var start = 0u; start < width; start += BLOCK) {
    var block = 0.0;
    let end = min(start + BLOCK, width);
    for (var i = start; i < end; i++) { block += source[first + i]; }
    sum += block;
  }
  sums[index] = sum;
}
