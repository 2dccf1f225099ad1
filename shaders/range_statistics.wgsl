// range_statistics: range and power of a strided view, by image, head and group of 32 rows.
//
// in   source      f32, element (image, head, row, column) at offset + image * image_stride + head * head_stride
//                  + row * row_stride + column
// out  statistics  f32 [images * heads][groups][4]: max |x|, min, max, sum of squares; groups = ceil(rows / 32)
//
// The first three are exact. The sum of squares is f32 in a fixed order (columns of a lane in a row, rows of a lane, lanes), with a
// relative error below (columns / 64 + 32 + 64) * 2^-24. One workgroup a group; LANES and ROWS_PER_GROUP are constants of the
// method.
//
// | binding | name       | space          | type             |
// |---------|------------|----------------|------------------|
// | 0       | source     | storage, read  | array<f32>       |
// | 1       | statistics | storage, write | array<vec4<f32>> |
// | 2       | params     | uniform        | Params           |

const LANES: u32 = 64;
const ROWS_PER_GROUP: u32 = 32;
const LARGEST: f32 = 0x1.fffffep+127;

struct Params {
  images: u32,
  heads: u32,
  rows: u32,
  columns: u32,
  offset: u32,
  image_stride: u32,
  head_stride: u32,
  row_stride: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> statistics: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> lane_statistics: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn range_statistics(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let groups = (params.rows + ROWS_PER_GROUP - 1u) / ROWS_PER_GROUP;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let batch = index / groups;
  if (batch >= params.images * params.heads) { return; } // the whole workgroup
  let group = index % groups;
  let first = params.offset + batch / params.heads * params.image_stride + batch % params.heads * params.head_stride;
  var low = LARGEST;
  var high = -LARGEST;
  var squares = 0.0;
  let end = min((group + 1u) * ROWS_PER_GROUP, params.rows);
  for (var row = group * ROWS_PER_GROUP; row < end; row++) {
    var row_squares = 0.0;
    for (var column = local.x; column < params.columns; column += LANES) {
      let x = source[first + row * params.row_stride + column];
      low = min(low, x);
      high = max(high, x);
      row_squares += x * x;
    }
    squares += row_squares;
  }
  lane_statistics[local.x] = vec4<f32>(0.0, low, high, squares);
  workgroupBarrier();
  if (local.x == 0u) {
    var all = lane_statistics[0];
    for (var lane = 1u; lane < LANES; lane++) {
      let other = lane_statistics[lane];
      all = vec4<f32>(0.0, min(all.y, other.y), max(all.z, other.z), all.w + other.w);
    }
    all.x = max(-all.y, all.z); // at least one element was seen by lane 0
    statistics[index] = all;
  }
}
