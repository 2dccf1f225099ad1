// mean_rows_i16: sum of rows of 16-bit integers, rescaled to the mean as codes or 16-bit integers (average pooling; METHOD:
// integer-only inference).
//
// in   x  u32 [images][rows][ceil(features / 2)], int16 two a word
// out  y  u32 [images][words]: OUTPUT 0 codes in qmin..qmax, four a word; OUTPUT 1 int16, two a word; padding 0
//
// y = clamp(((sum of the rows from `first` on + bias) multiplier + 2^(shift-1)) >> shift), half toward +infinity; the wrapper keeps
// |sum + bias| below 2^31. Bit-exact.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | x      | storage, read  | array<u32> |
// | 1       | y      | storage, write | array<u32> |
// | 2       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;
override OUTPUT: u32 = 0;

struct Params {
  images: u32,
  rows: u32,
  features: u32,
  first: u32,
  bias: i32,
  multiplier: u32,
  shift: u32,
  qmin: i32,
  qmax: i32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

// Sums of the two features of a word, without the bias.
fn sums(image: u32, word: u32) -> vec2<i32> {
  let words = (params.features + 1u) / 2u;
  var sum = vec2<i32>(0i);
  for (var row = params.first; row < params.rows; row++) {
    sum += unpack_2xi16(x[(image * params.rows + row) * words + word]);
  }
  return sum;
}

// The mean of feature `at`; 0 past the last.
fn mean(sum: i32, at: u32) -> i32 {
  if (at >= params.features) { return 0i; }
  let biased = sum + params.bias;
  if (OUTPUT == 1u) { return clamp(dyadic_rescale_int16(biased, params.multiplier, params.shift), -32768i, 32767i); }
  return clamp(dyadic_rescale_8(biased, params.multiplier, params.shift), params.qmin, params.qmax);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn mean_rows_i16(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let group = select(4u, 2u, OUTPUT == 1u); // features a word of y
  let words = (params.features + group - 1u) / group;
  if (i >= params.images * words) { return; }
  let image = i / words;
  let at = i % words * group;
  let low = sums(image, at / 2u);
  if (OUTPUT == 1u) {
    y[i] = pack_2xi16(vec2<i32>(mean(low.x, at), mean(low.y, at + 1u)));
    return;
  }
  var high = vec2<i32>(0i);
  if (at + 2u < params.features) { high = sums(image, at / 2u + 1u); }
  y[i] = pack4xI8(vec4<i32>(mean(low.x, at), mean(low.y, at + 1u), mean(high.x, at + 2u), mean(high.y, at + 3u)));
}
