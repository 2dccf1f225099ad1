// matmul_requantize_workgroup: matmul_requantize with tiles of both operands in workgroup memory (METHOD: integer-only inference;
// PTQ4ViT, section 3.2, bit-shift alignment).
//
// Buffers, parameters, results and bounds are those of matmul_requantize, in every bit.
//
// A workgroup of WX x WY lanes makes 4 * WY rows x 4 * WX columns, 8 words of depth at a time; each lane 4 rows x 4 columns. Codes
// stay packed: A is split into its two ranges when it is loaded, and multiplied by dot4I8Packed. Reads past the matrix are clamped
// to its last row or column, words past the depth are zero, writes past the matrix skipped.
//
// | binding | name     | space          | type             |
// |---------|----------|----------------|------------------|
// | 0       | a        | storage, read  | array<u32>       |
// | 1       | b        | storage, read  | array<u32>       |
// | 2       | bias     | storage, read  | array<i32>       |
// | 3       | rescale  | storage, read  | array<vec2<u32>> |
// | 4       | residual | storage, read  | array<u32>       |
// | 5       | y        | storage, write | array<u32>       |
// | 6       | params   | uniform        | Params           |

override WX: u32 = 8;
override WY: u32 = 8;
override A_KIND: u32 = 0;
override A_BITS: u32 = 8;
override OUTPUT: u32 = 0;
override HAS_BIAS: u32 = 0;
override HAS_RESIDUAL: u32 = 0;

const DEPTH_WORDS: u32 = 8;

struct Params {
  images: u32,
  heads: u32,
  rows: u32,
  depth: u32,
  planes: u32,
  columns: u32,
  shift: u32,
  a_offset: u32,
  a_image_stride: u32,
  a_head_stride: u32,
  a_row_stride: u32,
  b_offset: u32,
  b_image_stride: u32,
  b_head_stride: u32,
  b_row_stride: u32,
  bias_offset: u32,
  bias_head_stride: u32,
  rescale_offset: u32,
  rescale_head_stride: u32,
  rescale_column_stride: u32,
  qmin: i32,
  qmax: i32,
  residual_offset: u32,
  residual_multiplier: u32,
  residual_shift: u32,
  y_offset: u32,
  y_image_stride: u32,
  y_head_stride: u32,
  y_row_stride: u32,
  y_column_stride: u32,
}

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> bias: array<i32>;
@group(0) @binding(3) var<storage, read> rescale: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> residual: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> a_tile: array<vec2<u32>, DEPTH_WORDS * 4 * WY>; // [word][row], split by range
var<workgroup> b_tile: array<u32, DEPTH_WORDS * 4 * WX>; // [word][j][lane], j the number of a column of the lane

@compute @workgroup_size(WX, WY)
fn matmul_requantize_workgroup(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let words = (params.depth + 3u) / 4u;
  let a_words = words * params.planes;
  let column_tiles = (params.columns + 4u * WX - 1u) / (4u * WX);
  let row_tiles = (params.rows + (4u * WY) - 1u) / (4u * WY);
  let index = workgroup.y * workgroups.x + workgroup.x;
  let batch = index / (column_tiles * row_tiles);
  if (batch >= params.images * params.heads) { return; }
  let image = batch / params.heads;
  let head = batch % params.heads;
  let row0 = index / column_tiles % row_tiles * (4u * WY);
  let column0 = index % column_tiles * 4u * WX;
  let column = lane_columns(column0, local.x, WX);

  let last = params.rows - 1u;
  let a_first = params.a_offset + image * params.a_image_stride + head * params.a_head_stride;
  let last_column = params.columns - 1u;
  let b_first = params.b_offset + image * params.b_image_stride + head * params.b_head_stride;

  var acc: array<vec4<i32>, 4>; // |acc| < 2^31 by the bound of matmul_requantize
  for (var k0 = 0u; k0 < a_words; k0 += DEPTH_WORDS) {
    for (var i = lane; i < DEPTH_WORDS * 4u * WY; i += WX * WY) {
      let row = i / DEPTH_WORDS;
      let k = i % DEPTH_WORDS;
      var parts = vec2<u32>(0u);
      if (k0 + k < a_words) {
        parts = split_codes(a[a_first + min(row0 + row, last) * params.a_row_stride + k0 + k], A_KIND, A_BITS);
      }
      a_tile[k * 4u * WY + row] = parts;
    }
    for (var i = lane; i < DEPTH_WORDS * 4u * WX; i += WX * WY) {
      let k = i / (4u * WX);
      let n = i % (4u * WX);
      let slot = select(n, n % 4u * WX + n / 4u, OUTPUT == 0u || OUTPUT == 2u);
      let at = min(k0 + k, a_words - 1u);
      let word = select(at, at - words, at >= words); // of b, which every plane of a starts again
      b_tile[k * 4u * WX + slot] = b[b_first + word * params.b_row_stride + min(column0 + n, last_column)];
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH_WORDS; k++) {
      let b_at = k * 4u * WX + local.x;
      let b0 = b_tile[b_at];
      let b1 = b_tile[b_at + WX];
      let b2 = b_tile[b_at + 2u * WX];
      let b3 = b_tile[b_at + 3u * WX];
      let a_at = k * 4u * WY + 4u * local.y;
      acc[0] += dot_four(a_tile[a_at], b0, b1, b2, b3);
      acc[1] += dot_four(a_tile[a_at + 1u], b0, b1, b2, b3);
      acc[2] += dot_four(a_tile[a_at + 2u], b0, b1, b2, b3);
      acc[3] += dot_four(a_tile[a_at + 3u], b0, b1, b2, b3);
    }
    workgroupBarrier();
  }

  let scales = column_scales(head, column);
  finish_rows(acc, image, head, row0 + 4u * local.y, column, scales);
}

fn dot_four(parts: vec2<u32>, b0: u32, b1: u32, b2: u32, b3: u32) -> vec4<i32> {
  return vec4<i32>(
    dot_codes(parts, b0, A_KIND, params.shift),
    dot_codes(parts, b1, A_KIND, params.shift),
    dot_codes(parts, b2, A_KIND, params.shift),
    dot_codes(parts, b3, A_KIND, params.shift),
  );
}
