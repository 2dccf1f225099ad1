// matmul_codes: product of two matrices of 8-bit codes with an exact i32 accumulator, scaled to f32 (PTQ4ViT, sections 2 and 3.2).
//
// in   a       u32 [batch][rows][words]           operand A, row-major; words = ceil(depth / 4), batch = images * heads
// in   b       u32 [batch or 1][words][columns]   operand B, depth-major, signed bytes
// in   scales  f32, index head * scale_head_stride + column * scale_column_stride
// in   bias    f32 [columns], read when has_bias is 1
// out  y       f32 (OUTPUT_I32 0) or i32 (OUTPUT_I32 1) bits, element (image, head, row, column) at y_offset
//              + image * y_image_stride + head * y_head_stride + row * y_row_stride + column
//
// acc = sum over depth of decode(a) * b, y = f32(acc) * scale + bias. Codes of A by A_KIND:
//   0 uniform       signed byte
//   1 twin softmax  magnitude << (flag ? shift : 0)
//   2 twin GELU     flag ? magnitude << shift : -magnitude
// with the flag in bit A_BITS - 1 of the byte and the magnitude below it. The accumulator is exact (and, with OUTPUT_I32, the
// output bit-exact) while its bound holds, w the bits of B: uniform |acc| <= 2^(A_BITS-1) * depth * 2^(w-1) < 2^31; twin
// |acc| <= 2^shift * (2^(A_BITS-1) - 1) * depth * 2^(w-1) < 2^31. The f32 output has one rounding of the conversion, one of the
// product and one of the sum (the last two may be one).
//
// A workgroup of WX lanes makes 8 rows x 4 * WX columns; each lane 8 rows x 4 columns, WX apart. A is read at addresses that are
// uniform over the workgroup; no workgroup memory. Reads past the matrix are clamped to its last row or column, writes skipped.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | a      | storage, read  | array<u32> |
// | 1       | b      | storage, read  | array<u32> |
// | 2       | scales | storage, read  | array<f32> |
// | 3       | bias   | storage, read  | array<f32> |
// | 4       | y      | storage, write | array<u32> |
// | 5       | params | uniform        | Params     |

override WX: u32 = 32;
override A_KIND: u32 = 0;
override A_BITS: u32 = 8;
override OUTPUT_I32: u32 = 0;

struct Params {
  images: u32,
  heads: u32,
  rows: u32,
  depth: u32,
  columns: u32,
  b_batch_stride: u32,
  shift: u32,
  scale_head_stride: u32,
  scale_column_stride: u32,
  has_bias: u32,
  y_offset: u32,
  y_image_stride: u32,
  y_head_stride: u32,
  y_row_stride: u32,
}

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WX)
fn matmul_codes(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let words = (params.depth + 3u) / 4u;
  let column_tiles = (params.columns + 4u * WX - 1u) / (4u * WX);
  let row_tiles = (params.rows + 7u) / 8u;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let batch = index / (column_tiles * row_tiles);
  if (batch >= params.images * params.heads) { return; }
  let head = batch % params.heads;
  let row0 = index / column_tiles % row_tiles * 8u;
  let column = vec4<u32>(index % column_tiles * 4u * WX + local.x) + vec4<u32>(0u, WX, 2u * WX, 3u * WX);

  let last = params.rows - 1u;
  let a_first = batch * params.rows;
  let a0 = (a_first + row0) * words;
  let a1 = (a_first + min(row0 + 1u, last)) * words;
  let a2 = (a_first + min(row0 + 2u, last)) * words;
  let a3 = (a_first + min(row0 + 3u, last)) * words;
  let a4 = (a_first + min(row0 + 4u, last)) * words;
  let a5 = (a_first + min(row0 + 5u, last)) * words;
  let a6 = (a_first + min(row0 + 6u, last)) * words;
  let a7 = (a_first + min(row0 + 7u, last)) * words;
  var b_at = min(column, vec4<u32>(params.columns - 1u)) + vec4<u32>(batch * params.b_batch_stride);

  var acc: array<vec4<i32>, 8>; // |acc| < 2^31 by the bound above
  for (var k = 0u; k < words; k++) {
    let c0 = unpack4xI8(b[b_at.x]);
    let c1 = unpack4xI8(b[b_at.y]);
    let c2 = unpack4xI8(b[b_at.z]);
    let c3 = unpack4xI8(b[b_at.w]);
    let b0 = vec4<i32>(c0.x, c1.x, c2.x, c3.x);
    let b1 = vec4<i32>(c0.y, c1.y, c2.y, c3.y);
    let b2 = vec4<i32>(c0.z, c1.z, c2.z, c3.z);
    let b3 = vec4<i32>(c0.w, c1.w, c2.w, c3.w);
    acc[0] += row_sum(decode_codes(a[a0 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[1] += row_sum(decode_codes(a[a1 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[2] += row_sum(decode_codes(a[a2 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[3] += row_sum(decode_codes(a[a3 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[4] += row_sum(decode_codes(a[a4 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[5] += row_sum(decode_codes(a[a5 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[6] += row_sum(decode_codes(a[a6 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    acc[7] += row_sum(decode_codes(a[a7 + k], A_KIND, A_BITS, params.shift), b0, b1, b2, b3);
    b_at += vec4<u32>(params.columns);
  }

  let y_first = params.y_offset + batch / params.heads * params.y_image_stride + head * params.y_head_stride;
  for (var j = 0u; j < 4u; j++) {
    if (column[j] >= params.columns) { continue; }
    let scale = scales[head * params.scale_head_stride + column[j] * params.scale_column_stride];
    var shift_up = 0.0;
    if (params.has_bias == 1u) { shift_up = bias[column[j]]; }
    for (var i = 0u; i < 8u && row0 + i < params.rows; i++) {
      let at = y_first + (row0 + i) * params.y_row_stride + column[j];
      if (OUTPUT_I32 == 1u) {
        y[at] = bitcast<u32>(acc[i][j]);
      } else {
        y[at] = bitcast<u32>(f32(acc[i][j]) * scale + shift_up);
      }
    }
  }
}
