// gather_rows: copies chosen rows of a strided view into adjacent rows, word for word.
//
// in   source       u32 words (f32 values or packed codes), element (image, head, row, column) at offset + image * image_stride
//                   + head * head_stride + row * row_stride + column
// in   indices      u32 [images][rows]  which row of the image is wanted
// out  destination  u32 from word target_offset: [images][heads][rows][columns]; the rest keeps its contents
//
// Exact: bits are moved, not values.
//
// | binding | name        | space          | type       |
// |---------|-------------|----------------|------------|
// | 0       | source      | storage, read  | array<u32> |
// | 1       | indices     | storage, read  | array<u32> |
// | 2       | destination | storage, write | array<u32> |
// | 3       | params      | uniform        | Params     |

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
  target_offset: u32,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> destination: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn gather_rows(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.images * params.heads * params.rows * params.columns) { return; }
  let line = i / params.columns;
  let column = i - line * params.columns;
  let entry = line / params.rows;
  let row = line - entry * params.rows;
  let image = entry / params.heads;
  let head = entry - image * params.heads;
  let wanted = indices[image * params.rows + row];
  destination[params.target_offset + i] =
    source[params.offset + image * params.image_stride + head * params.head_stride + wanted * params.row_stride + column];
}
