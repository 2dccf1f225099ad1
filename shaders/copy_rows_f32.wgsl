// copy_rows_f32: copies a block of rows of every image from one strided place to another, f32, bit for bit.
//
// For image < images, row < rows, column < columns, the element at
//   source_offset + image * source_outer + row * source_row + column      is written to
//   target_offset + image * target_outer + row * target_row + column; the rest of the target keeps its contents.
//
// | binding | name        | space          | type       |
// |---------|-------------|----------------|------------|
// | 0       | source      | storage, read  | array<u32> |
// | 1       | destination | storage, write | array<u32> |
// | 2       | params      | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  images: u32,
  rows: u32,
  columns: u32,
  source_offset: u32,
  source_outer: u32,
  source_row: u32,
  target_offset: u32,
  target_outer: u32,
  target_row: u32,
}

// u32 words, not f32: a float load may flush a subnormal or quiet a NaN.
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> destination: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn copy_rows_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.images * params.rows * params.columns) { return; }
  let line = i / params.columns;
  let column = i - line * params.columns;
  let image = line / params.rows;
  let row = line - image * params.rows;
  destination[params.target_offset + image * params.target_outer + row * params.target_row + column] =
    source[params.source_offset + image * params.source_outer + row * params.source_row + column];
}
