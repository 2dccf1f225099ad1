// column_sums_f32: sums of the columns of every matrix of a batch, each row counted with a weight of its own.
//
// in   source   f32 [images][rows][columns]
// in   weights  f32 [images][rows]
// out  sums     f32 [images][columns]
//
// f32 sums in the order of the rows, with an error below (rows + 1) * 2^-24 * sum |weight * x|. One invocation a column.
//
// | binding | name    | space          | type       |
// |---------|---------|----------------|------------|
// | 0       | source  | storage, read  | array<f32> |
// | 1       | weights | storage, read  | array<f32> |
// | 2       | sums    | storage, write | array<f32> |
// | 3       | params  | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  images: u32,
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn column_sums_f32(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let image = index / params.columns;
  if (image >= params.images) { return; }
  let column = index % params.columns;
  var sum = 0.0;
  for (var row = image * params.rows; row < (image + 1u) * params.rows; row++) {
    sum += weights[row] * source[row * params.columns + column];
  }
  sums[index] = sum;
}
