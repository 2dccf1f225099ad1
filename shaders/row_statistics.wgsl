// row_statistics: largest magnitude and power of every row of a strided view, over all its heads.
//
// in   source      f32, element (image, head, row, column) at offset + image * image_stride + head * head_stride
//                  + row * row_stride + column
// out  statistics  f32 [images * rows][2]: max |x|, sum of squares
//
// The first is exact. The sum of squares is f32 in a fixed order: column c goes to sum c % 4, head after head, and the four sums are
// added at the end, with a relative error below (heads * ceil(columns / 4) + 3) * 2^-24. One invocation a row: a workgroup for each,
// as range_statistics has, costs a software adapter more than the row itself.
//
// | binding | name       | space          | type             |
// |---------|------------|----------------|------------------|
// | 0       | source     | storage, read  | array<f32>       |
// | 1       | statistics | storage, write | array<vec2<f32>> |
// | 2       | params     | uniform        | Params           |

override WORKGROUP_SIZE: u32 = 64;

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
@group(0) @binding(1) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn row_statistics(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (index >= params.images * params.rows) { return; }
  let image = index / params.rows;
  let row = index % params.rows;
  let first = params.offset + image * params.image_stride + row * params.row_stride;
  let whole = params.columns / 4u * 4u;
  var largest = vec4<f32>();
  var squares = vec4<f32>();
  for (var head = 0u; head < params.heads; head++) {
    let start = first + head * params.head_stride;
    for (var column = 0u; column < whole; column += 4u) {
      let at = start + column;
      let x = vec4<f32>(source[at], source[at + 1u], source[at + 2u], source[at + 3u]);
      largest = max(largest, abs(x));
      squares += x * x;
    }
    for (var column = whole; column < params.columns; column++) {
      let x = source[start + column];
      largest.x = max(largest.x, abs(x));
      squares[column - whole] += x * x;
    }
  }
  let ends = max(largest.xy, largest.zw);
  statistics[index] = vec2<f32>(max(ends.x, ends.y), (squares.x + squares.y) + (squares.z + squares.w));
}
