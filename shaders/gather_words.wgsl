// gather_words: rows of packed integers in another order, rows of a constant where no row is wanted (Swin, section 3.2: windows,
// their shift and padding, patch merging).
//
// in   source   u32 [images][source_rows][words]
// in   indices  u32 [rows]: the row of the source, or 0xffffffff for one of `fill`
// out  y        u32 [images][rows][words]
//
// The last word of a row of fill is `last_fill`: what pads a row to words stays 0. Words are copied as they are.
//
// | binding | name    | space          | type       |
// |---------|---------|----------------|------------|
// | 0       | source  | storage, read  | array<u32> |
// | 1       | indices | storage, read  | array<u32> |
// | 2       | y       | storage, write | array<u32> |
// | 3       | params  | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  images: u32,
  source_rows: u32,
  rows: u32,
  words: u32,
  fill: u32,
  last_fill: u32,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn gather_words(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.images * params.rows * params.words) { return; }
  let word = i % params.words;
  let row = i / params.words;
  let index = indices[row % params.rows];
  if (index < params.source_rows) {
    y[i] = source[(row / params.rows * params.source_rows + index) * params.words + word];
  } else {
    y[i] = select(params.fill, params.last_fill, word == params.words - 1u);
  }
}
