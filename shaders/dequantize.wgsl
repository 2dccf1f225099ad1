// dequantize: y = scale * x of packed signed integers, f32: where float operations start from between integer products.
//
// in   source  u32, integers of BITS (8, 16 or 32) each, 32 / BITS a word from its low bits, rows padded to whole words: column c of
//              row r in word offset + r * row_stride + c BITS / 32
// in   scales  f32 [heads]; row r has head r / rows_per_head % heads
// out  y       f32 [rows][columns], dense; rows counts all images and heads
//
// One f32 multiplication of an exactly converted integer: |y - x scale| <= 2^-24 |x scale| where f32 rounds to nearest, twice that
// in any direction. 32-bit integers of 2^24 and more are rounded to f32 first, by as much again. One invocation an element.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | source | storage, read  | array<u32> |
// | 1       | scales | storage, read  | array<f32> |
// | 2       | y      | storage, write | array<f32> |
// | 3       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;
override BITS: u32 = 32;

struct Params {
  rows: u32,
  columns: u32,
  offset: u32,
  row_stride: u32,
  rows_per_head: u32,
  heads: u32,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> scales: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn dequantize(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.rows * params.columns) { return; }
  let row = i / params.columns;
  let column = i % params.columns;
  let per_word = 32u / BITS;
  let word = bitcast<i32>(source[params.offset + row * params.row_stride + column / per_word]);
  let value = (word << (32u - BITS * (column % per_word + 1u))) >> (32u - BITS); // the sign comes along
  y[i] = f32(value) * scales[row / params.rows_per_head % params.heads];
}
