// matmul_f32_subgroups: matmul_f32 with the rows of A shared by the lanes of a subgroup.
//
// Buffers, parameters and numbers are those of matmul_f32: K is summed in index order inside one lane with one multiply-add each,
// so both kernels give the same bits on an adapter. A must be readable in fours: its column stride 1, its offset and other strides
// multiples of 4.
//
// A workgroup is a strip of 8 rows x 2 * WORKGROUP_SIZE columns; a lane holds 8 rows x 2 columns, WORKGROUP_SIZE apart. Lane l of a
// subgroup loads rows l % 4 and 4 + l % 4, and lanes 0 to 3 broadcast them: right for every subgroup of at least 4 lanes. Rows
// and columns past the end read the last valid one and write nothing.
//
// | binding | name   | space          | type         |
// |---------|--------|----------------|--------------|
// | 0       | a      | storage, read  | array<vec4f> | f32 elements; the buffer is a multiple of 16 bytes
// | 1       | b      | storage, read  | array<f32>   |
// | 2       | bias   | storage, read  | array<f32>   | not read when has_bias is 0
// | 3       | c      | storage, write | array<f32>   |
// | 4       | params | uniform        | Params       |

enable subgroups;

override WORKGROUP_SIZE: u32 = 32;

struct Params {
  rows: u32,
  columns: u32,
  depth: u32,
  heads: u32,
  images: u32,
  has_bias: u32,
  a_offset: u32,
  a_outer: u32,
  a_inner: u32,
  a_row: u32,
  a_column: u32,
  b_offset: u32,
  b_outer: u32,
  b_inner: u32,
  b_row: u32,
  b_column: u32,
  c_offset: u32,
  c_outer: u32,
  c_inner: u32,
  c_row: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn write_row(row: u32, column: u32, base: u32, value: vec2f) {
  if (row >= params.rows) { return; }
  let first = base + row * params.c_row + column;
  if (column < params.columns) { c[first] = value.x; }
  if (column + WORKGROUP_SIZE < params.columns) { c[first + WORKGROUP_SIZE] = value.y; }
}

// Four depths of a row times the same depths of two columns, in index order.
fn add_four(sum: vec2f, row: vec4f, b0: vec2f, b1: vec2f, b2: vec2f, b3: vec2f) -> vec2f {
  return fma(vec2f(row.w), b3, fma(vec2f(row.z), b2, fma(vec2f(row.y), b1, fma(vec2f(row.x), b0, sum))));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn matmul_f32_subgroups(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  // One linear number for a tile: no dimension of the grid limits rows, columns or batch.
  let tile = workgroup.x + groups.x * (workgroup.y + groups.y * workgroup.z);
  let column_tiles = (params.columns + 2u * WORKGROUP_SIZE - 1u) / (2u * WORKGROUP_SIZE);
  let row_tiles = (params.rows + 7u) / 8u;
  let strip = tile / column_tiles;
  let batch = strip / row_tiles;
  if (batch >= params.images * params.heads) { return; }
  let image = batch / params.heads;
  let head = batch - image * params.heads;
  let row = 8u * (strip - batch * row_tiles);
  let column = (tile - strip * column_tiles) * 2u * WORKGROUP_SIZE + lane.x;

  let a_base = params.a_offset + image * params.a_outer + head * params.a_inner;
  let b_base = params.b_offset + image * params.b_outer + head * params.b_inner;
  let c_base = params.c_offset + image * params.c_outer + head * params.c_inner;
  let last_row = params.rows - 1u;
  let own = row + (subgroup_lane & 3u);
  let low_at = (a_base + min(own, last_row) * params.a_row) >> 2u;
  let high_at = (a_base + min(own + 4u, last_row) * params.a_row) >> 2u;
  let columns = min(vec2u(column, column + WORKGROUP_SIZE), vec2u(params.columns - 1u));
  var at = b_base + columns * params.b_column;
  var sum0 = vec2f();
  var sum1 = vec2f();
  var sum2 = vec2f();
  var sum3 = vec2f();
  var sum4 = vec2f();
  var sum5 = vec2f();
  var sum6 = vec2f();
  var sum7 = vec2f();

  let fours = params.depth >> 2u;
  for (var k = 0u; k < fours; k++) {
    let b0 = vec2f(b[at.x], b[at.y]);
    at += vec2u(params.b_row);
    let b1 = vec2f(b[at.x], b[at.y]);
    at += vec2u(params.b_row);
    let b2 = vec2f(b[at.x], b[at.y]);
    at += vec2u(params.b_row);
    let b3 = vec2f(b[at.x], b[at.y]);
    at += vec2u(params.b_row);
    let low = a[low_at + k];
    let high = a[high_at + k];
    sum0 = add_four(sum0, subgroupBroadcast(low, 0u), b0, b1, b2, b3);
    sum1 = add_four(sum1, subgroupBroadcast(low, 1u), b0, b1, b2, b3);
    sum2 = add_four(sum2, subgroupBroadcast(low, 2u), b0, b1, b2, b3);
    sum3 = add_four(sum3, subgroupBroadcast(low, 3u), b0, b1, b2, b3);
    sum4 = add_four(sum4, subgroupBroadcast(high, 0u), b0, b1, b2, b3);
    sum5 = add_four(sum5, subgroupBroadcast(high, 1u), b0, b1, b2, b3);
    sum6 = add_four(sum6, subgroupBroadcast(high, 2u), b0, b1, b2, b3);
    sum7 = add_four(sum7, subgroupBroadcast(high, 3u), b0, b1, b2, b3);
  }
  for (var k = 4u * fours; k < params.depth; k++) {
    let b0 = vec2f(b[at.x], b[at.y]);
    at += vec2u(params.b_row);
    let low = a[low_at + fours][k & 3u];
    let high = a[high_at + fours][k & 3u];
    sum0 = fma(vec2f(subgroupBroadcast(low, 0u)), b0, sum0);
    sum1 = fma(vec2f(subgroupBroadcast(low, 1u)), b0, sum1);
    sum2 = fma(vec2f(subgroupBroadcast(low, 2u)), b0, sum2);
    sum3 = fma(vec2f(subgroupBroadcast(low, 3u)), b0, sum3);
    sum4 = fma(vec2f(subgroupBroadcast(high, 0u)), b0, sum4);
    sum5 = fma(vec2f(subgroupBroadcast(high, 1u)), b0, sum5);
    sum6 = fma(vec2f(subgroupBroadcast(high, 2u)), b0, sum6);
    sum7 = fma(vec2f(subgroupBroadcast(high, 3u)), b0, sum7);
  }

  var shift = vec2f();
  if (params.has_bias == 1u) { shift = vec2f(bias[columns.x], bias[columns.y]); }
  write_row(row, column, c_base, sum0 + shift);
  write_row(row + 1u, column, c_base, sum1 + shift);
  write_row(row + 2u, column, c_base, sum2 + shift);
  write_row(row + 3u, column, c_base, sum3 + shift);
  write_row(row + 4u, column, c_base, sum4 + shift);
  write_row(row + 5u, column, c_base, sum5 + shift);
  write_row(row + 6u, column, c_base, sum6 + shift);
  write_row(row + 7u, column, c_base, sum7 + shift);
}
