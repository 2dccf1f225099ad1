// int_layer_norm: LayerNorm of 16-bit rows as packed 8-bit codes or 16-bit integers, integers throughout (METHOD: integer-only
// inference; I-ViT 3.4).
//
// in   x     u32, int16 two a word, word k of row r at x_offset + r * x_row_stride + k
// in   gain  vec2<i32> [heads][features] (signed multiplier, shift): multiplier / 2^shift, |multiplier| < 2^31, 1 <= shift <= 62
// in   bias  i32 [heads][features]
// out  y     u32: OUTPUT 0 codes, four a word; OUTPUT 1 int16, two a word; in qmin..qmax, padding 0
//
// Rows are those of the heads of a token, of the tokens of an image, of the images; row r has head r % heads. Its word k is at
// image y_image_stride + head y_head_stride + token y_row_stride + k y_word_stride.
//
// FORM 0, with N = features <= 4096, s = sum of x and S = N * sum of x^2 - s^2 + epsilon (two words: N^2 times the variance):
//   n = (N x - s) / sqrt(S) in 2^-24, z = n * gain in 2^-12, y = (z + bias + 2^11) >> 12, bias in 2^-12.
//   The mean is exact, the root has 30 bits, its reciprocal 31: |n| < 64 is within 2^-25 + 2^-27 |n|, so y is within 0.5 + 2^-11
//   + |gamma / scale of y| 2^-25 of the real LayerNorm before it is clamped.
// FORM 1, as published: m = round(mean), half up, V = sum (x - m)^2, k from 2^16 by ten times k = (k + V / k) >> 1,
//   n = ((x - m) * ((2^31 - 1) / k)) >> 1 in sqrt(N) 2^-30, y = (n + bias) * gain, bias in the unit of n.
// Bit-exact. epsilon < 2^56 keeps S below 2^57 (the rest is at most N^2 2^30 = 2^54). FORM 1: k >= floor(sqrt(V)) >= |x - m|, so
// |n| <= 2^30.
//
// | binding | name   | space          | type             |
// |---------|--------|----------------|------------------|
// | 0       | x      | storage, read  | array<u32>       |
// | 1       | gain   | storage, read  | array<vec2<i32>> |
// | 2       | bias   | storage, read  | array<i32>       |
// | 3       | y      | storage, write | array<u32>       |
// | 4       | params | uniform        | Params           |

override WORKGROUP_SIZE: u32 = 32;
override FORM: u32 = 0;
override OUTPUT: u32 = 0;

struct Params {
  rows: u32,
  features: u32,
  x_offset: u32,
  x_row_stride: u32,
  epsilon_low: u32,
  epsilon_high: u32,
  qmin: i32,
  qmax: i32,
  heads: u32,
  tokens: u32,
  y_image_stride: u32,
  y_head_stride: u32,
  y_row_stride: u32,
  y_word_stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> gain: array<vec2<i32>>;
@group(0) @binding(2) var<storage, read> bias: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

// What turns a value of the row into its normalised form.
struct Row {
  center: i32, // s, or m
  factor: u32,
  shift: u32,
}

fn value(first: u32, i: u32) -> i32 {
  let halves = unpack_2xi16(x[first + i / 2u]);
  return select(halves.x, halves.y, (i & 1u) == 1u);
}

fn exact_row(sum: i32, squares: vec2<u32>) -> Row {
  let size = wide_multiply(squares.x, params.features) + vec2<u32>(0u, squares.y * params.features);
  let mean_part = wide_multiply(u32(abs(sum)), u32(abs(sum)));
  var variance = wide_add(wide_subtract(size, mean_part), vec2<u32>(params.epsilon_low, params.epsilon_high));
  if (variance.x == 0u && variance.y == 0u) { variance.x = 1u; } // every x - mean is 0
  let bits = select(bit_length(variance.x), 32u + bit_length(variance.y), variance.y != 0u);
  let places = (60u - bits) / 2u; // 1..29
  let root = wide_isqrt(wide_shift_left(variance, 2u * places)); // 2^29 <= root < 2^30
  let reciprocal = min(wide_divide(vec2<u32>(0u, 0x10000000u), root), 0x7fffffffu); // 2^60 / root
  return Row(sum, reciprocal, 36u - places);
}

fn published_row(first: u32, sum: i32) -> Row {
  let mean = floor_divide(sum + i32(params.features / 2u), params.features);
  var squares = vec2<u32>(0u); // at most 2^12 * 2^32
  for (var i = 0u; i < params.features; i++) {
    let distance = u32(abs(value(first, i) - mean)); // < 2^16
    squares = wide_add(squares, vec2<u32>(distance * distance, 0u));
  }
  var root = 65536u;
  for (var step = 0u; step < 10u; step++) { root = (root + wide_divide(squares, root)) >> 1u; }
  return Row(mean, 0x7fffffffu / root, 1u);
}

fn scaled(normalised: i32, dyadic: vec2<i32>) -> i32 {
  return dyadic_rescale_16(select(normalised, -normalised, dyadic.x < 0), u32(abs(dyadic.x)), u32(dyadic.y));
}

// Feature i of a row whose head begins at `own` among gains and biases.
fn code(at: u32, row: Row, own: u32, i: u32) -> i32 {
  if (FORM == 1u) {
    let limit = 0x3fffffffi;
    let normalised = ((value(at, i) - row.center) * i32(row.factor)) >> 1u; // the product is at most 2^31 - 1
    return clamp(scaled(normalised + clamp(bias[own + i], -limit, limit), gain[own + i]), params.qmin, params.qmax);
  }
  let limit = 0x20000000i;
  let distance = value(at, i) * i32(params.features) - row.center; // |.| <= 2^28
  let normalised = dyadic_rescale_16(distance, row.factor, row.shift); // |.| < 2^30 + 2^4
  let z = clamp(scaled(normalised, gain[own + i]), -limit, limit);
  return clamp((z + clamp(bias[own + i], -limit, limit) + 2048i) >> 12u, params.qmin, params.qmax);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn int_layer_norm(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (index >= params.rows) { return; }
  let first = params.x_offset + index * params.x_row_stride;
  var sum = 0i; // |sum| <= 2^12 * 2^15
  var squares = vec2<u32>(0u); // <= 2^12 * 2^30
  for (var i = 0u; i < params.features; i++) {
    let v = value(first, i);
    sum += v;
    squares = wide_add(squares, vec2<u32>(u32(v * v), 0u));
  }
  var row: Row;
  if (FORM == 1u) { row = published_row(first, sum); } else { row = exact_row(sum, squares); }

  let head = index % params.heads;
  let token = index / params.heads;
  let start = token / params.tokens * params.y_image_stride + head * params.y_head_stride
    + token % params.tokens * params.y_row_stride;
  let own = head * params.features;
  let group = select(4u, 2u, OUTPUT == 1u); // features a word
  let words = (params.features + group - 1u) / group;
  for (var word = 0u; word < words; word++) {
    var values = vec4<i32>(0i);
    for (var j = 0u; j < group && group * word + j < params.features; j++) {
      values[j] = code(first, row, own, group * word + j);
    }
    y[start + word * params.y_word_stride] = select(pack4xI8(values), pack_2xi16(values.xy), OUTPUT == 1u);
  }
}
