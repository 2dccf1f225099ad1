// matmul_f32: batched strided matrix product C = A * B (+ bias), f32.
//
// For every image i < images and head h < heads, with M = rows, N = columns, K = depth:
//   C[m, n] = sum over k of A[m, k] * B[k, n]  (+ bias[n] when has_bias is 1)
// Element (i, h, r, c) of a matrix lies at offset + i * outer + h * inner + r * row + c * column; C has column stride 1.
// So q, k and v are read inside the qkv tensor, a transpose is a swap of strides, and one weight serves every image (outer 0).
//
// Numbers: f32; K is summed in index order inside one lane with one multiply-add each, so a result depends on the operands
// only, not on tile, chunk or batch. |error| <= K * 2^-24 * sum |a * b| to first order; NMSE < 1e-12 against the twin.
//
// A workgroup is a strip of 8 rows x 4 * WORKGROUP_SIZE columns; a lane holds 8 rows x 4 columns, WORKGROUP_SIZE apart.
// Loads of A are the same for the whole workgroup. Rows and columns past the end read the last valid one and write nothing.
//
// | binding | name   | space          | type         |
// |---------|--------|----------------|--------------|
// | 0       | a      | storage, read  | array<vec4f> | f32 elements; the buffer is a multiple of 16 bytes
// | 1       | b      | storage, read  | array<f32>   |
// | 2       | bias   | storage, read  | array<f32>   | not read when has_bias is 0
// | 3       | c      | storage, write | array<f32>   |
// | 4       | params | uniform        | Params       |

override WORKGROUP_SIZE: u32 = 32;
override VECTOR_A: u32 = 0; // 1: a_column is 1 and offset and other strides of A are multiples of 4, so A is read 4 at a time

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

fn a_at(i: u32) -> f32 { return a[i >> 2u][i & 3u]; }

// Four elements of a row of A from element i on.
fn a_four(i: u32) -> vec4f {
  if (VECTOR_A == 1u) { return a[i >> 2u]; }
  let step = params.a_column;
  return vec4f(a_at(i), a_at(i + step), a_at(i + 2u * step), a_at(i + 3u * step));
}

fn write_row(row: u32, column: u32, base: u32, shift: vec4f, sum: vec4f) {
  if (row >= params.rows) { return; }
  let value = sum + shift;
  let first = base + row * params.c_row + column;
  if (column < params.columns) { c[first] = value.x; }
  if (column + WORKGROUP_SIZE < params.columns) { c[first + WORKGROUP_SIZE] = value.y; }
  if (column + 2u * WORKGROUP_SIZE < params.columns) { c[first + 2u * WORKGROUP_SIZE] = value.z; }
  if (column + 3u * WORKGROUP_SIZE < params.columns) { c[first + 3u * WORKGROUP_SIZE] = value.w; }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn matmul_f32(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  // One linear number for a tile: no dimension of the grid limits rows, columns or batch.
  let tile = workgroup.x + groups.x * (workgroup.y + groups.y * workgroup.z);
  let column_tiles = (params.columns + 4u * WORKGROUP_SIZE - 1u) / (4u * WORKGROUP_SIZE);
  let row_tiles = (params.rows + 7u) / 8u;
  let strip = tile / column_tiles;
  let batch = strip / row_tiles;
  if (batch >= params.images * params.heads) { return; }
  let image = batch / params.heads;
  let head = batch - image * params.heads;
  let row = 8u * (strip - batch * row_tiles);
  let column = (tile - strip * column_tiles) * 4u * WORKGROUP_SIZE + lane.x;

  let a_base = params.a_offset + image * params.a_outer + head * params.a_inner;
  let b_base = params.b_offset + image * params.b_outer + head * params.b_inner;
  let c_base = params.c_offset + image * params.c_outer + head * params.c_inner;
  let last_row = params.rows - 1u;
  let last_column = params.columns - 1u;
  var a0 = a_base + min(row, last_row) * params.a_row;
  var a1 = a_base + min(row + 1u, last_row) * params.a_row;
  var a2 = a_base + min(row + 2u, last_row) * params.a_row;
  var a3 = a_base + min(row + 3u, last_row) * params.a_row;
  var a4 = a_base + min(row + 4u, last_row) * params.a_row;
  var a5 = a_base + min(row + 5u, last_row) * params.a_row;
  var a6 = a_base + min(row + 6u, last_row) * params.a_row;
  var a7 = a_base + min(row + 7u, last_row) * params.a_row;
  let columns = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u) * WORKGROUP_SIZE, vec4u(last_column));
  var at = b_base + columns * params.b_column;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  var sum4 = vec4f();
  var sum5 = vec4f();
  var sum6 = vec4f();
  var sum7 = vec4f();

  var k = 0u;
  for (; k + 4u <= params.depth; k += 4u) {
    let b0 = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
    at += vec4u(params.b_row);
    let b1 = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
    at += vec4u(params.b_row);
    let b2 = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
    at += vec4u(params.b_row);
    let b3 = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
    at += vec4u(params.b_row);
    let four0 = a_four(a0);
    sum0 = fma(vec4f(four0.x), b0, sum0);
    sum0 = fma(vec4f(four0.y), b1, sum0);
    sum0 = fma(vec4f(four0.z), b2, sum0);
    sum0 = fma(vec4f(four0.w), b3, sum0);
    a0 += 4u * params.a_column;
    let four1 = a_four(a1);
    sum1 = fma(vec4f(four1.x), b0, sum1);
    sum1 = fma(vec4f(four1.y), b1, sum1);
    sum1 = fma(vec4f(four1.z), b2, sum1);
    sum1 = fma(vec4f(four1.w), b3, sum1);
    a1 += 4u * params.a_column;
    let four2 = a_four(a2);
    sum2 = fma(vec4f(four2.x), b0, sum2);
    sum2 = fma(vec4f(four2.y), b1, sum2);
    sum2 = fma(vec4f(four2.z), b2, sum2);
    sum2 = fma(vec4f(four2.w), b3, sum2);
    a2 += 4u * params.a_column;
    let four3 = a_four(a3);
    sum3 = fma(vec4f(four3.x), b0, sum3);
    sum3 = fma(vec4f(four3.y), b1, sum3);
    sum3 = fma(vec4f(four3.z), b2, sum3);
    sum3 = fma(vec4f(four3.w), b3, sum3);
    a3 += 4u * params.a_column;
    let four4 = a_four(a4);
    sum4 = fma(vec4f(four4.x), b0, sum4);
    sum4 = fma(vec4f(four4.y), b1, sum4);
    sum4 = fma(vec4f(four4.z), b2, sum4);
    sum4 = fma(vec4f(four4.w), b3, sum4);
    a4 += 4u * params.a_column;
    let four5 = a_four(a5);
    sum5 = fma(vec4f(four5.x), b0, sum5);
    sum5 = fma(vec4f(four5.y), b1, sum5);
    sum5 = fma(vec4f(four5.z), b2, sum5);
    sum5 = fma(vec4f(four5.w), b3, sum5);
    a5 += 4u * params.a_column;
    let four6 = a_four(a6);
    sum6 = fma(vec4f(four6.x), b0, sum6);
    sum6 = fma(vec4f(four6.y), b1, sum6);
    sum6 = fma(vec4f(four6.z), b2, sum6);
    sum6 = fma(vec4f(four6.w), b3, sum6);
    a6 += 4u * params.a_column;
    let four7 = a_four(a7);
    sum7 = fma(vec4f(four7.x), b0, sum7);
    sum7 = fma(vec4f(four7.y), b1, sum7);
    sum7 = fma(vec4f(four7.z), b2, sum7);
    sum7 = fma(vec4f(four7.w), b3, sum7);
    a7 += 4u * params.a_column;
  }
  for (; k < params.depth; k++) {
    let b0 = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
    at += vec4u(params.b_row);
    sum0 = fma(vec4f(a_at(a0)), b0, sum0);
    a0 += params.a_column;
    sum1 = fma(vec4f(a_at(a1)), b0, sum1);
    a1 += params.a_column;
    sum2 = fma(vec4f(a_at(a2)), b0, sum2);
    a2 += params.a_column;
    sum3 = fma(vec4f(a_at(a3)), b0, sum3);
    a3 += params.a_column;
    sum4 = fma(vec4f(a_at(a4)), b0, sum4);
    a4 += params.a_column;
    sum5 = fma(vec4f(a_at(a5)), b0, sum5);
    a5 += params.a_column;
    sum6 = fma(vec4f(a_at(a6)), b0, sum6);
    a6 += params.a_column;
    sum7 = fma(vec4f(a_at(a7)), b0, sum7);
    a7 += params.a_column;
  }

  var shift = vec4f();
  if (params.has_bias == 1u) { shift = vec4f(bias[columns.x], bias[columns.y], bias[columns.z], bias[columns.w]); }
  write_row(row, column, c_base, shift, sum0);
  write_row(row + 1u, column, c_base, shift, sum1);
  write_row(row + 2u, column, c_base, shift, sum2);
  write_row(row + 3u, column, c_base, shift, sum3);
  write_row(row + 4u, column, c_base, shift, sum4);
  write_row(row + 5u, column, c_base, shift, sum5);
  write_row(row + 6u, column, c_base, shift, sum6);
  write_row(row + 7u, column, c_base, shift, sum7);
}
