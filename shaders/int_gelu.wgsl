// int_gelu: integer GELU of fc1 outputs, written as codes, by a method that needs no row maximum.
//
// in   source  u32 [rows][input words], signed codes of INPUT_BITS bits: 8, four a word, or 16, two a word; rows padded to words
// in   table   u32: METHOD 2, 256 entries; METHOD 3, 64 words; else none; then the levels of CODES 2
// out  codes   u32 [rows][planes][words], four codes a word, column c in byte c % 4; words = ceil(columns / 4); bytes past it are 0;
//              two planes for CODES 2, else one
//
// METHOD is how y = GELU(x) is taken, in units of the method:
//   0 shift-fixed  I-ViT's exponential (section 3.3) of |x|: y = x sigmoid(1.702 x), the sigmoid mirrored at 0; units of 2^-15
//   1 poly         I-BERT's i-gelu (section 3.3): x (offset - floor(sign(x) ((min(|x|, bound) - bound)^2 - constant) / 2^places))
//   2 lut          relu(x) - tail(|x|), tail the line between entries |x| >> places and the next, 0 past the last; units of 2^-15
//   3 lut-codes    the code itself from a table of 256 bytes; 8-bit inputs
// A twin code, CODES 0, is R1 for y < 0, |y| multiplier / 2^multiplier_shift, and R2 for y > 0, 2^-shift of that; half away from zero, clamped;
// magnitude 0 is code 0 (PTQ4ViT, section 3.2); the others, of methods 0 to 2, are those of lib_levels. Integers only, bit-exact on
// every adapter. One invocation a word of codes. The wrapper refuses constants that would pass a bound below.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | source | storage, read  | array<u32> |
// | 1       | table  | storage, read  | array<u32> |
// | 2       | codes  | storage, write | array<u32> |
// | 3       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;
override INPUT_BITS: u32 = 16;
override METHOD: u32 = 0;
override CODES: u32 = 0;

struct Params {
  rows: u32,
  columns: u32,
  bits: u32,
  shift: u32,
  multiplier: u32,
  multiplier_shift: u32,
  unit: u32,
  fraction: u32,
  octaves: u32,
  limit: u32,
  bound: u32,
  constant: u32,
  places: u32,
  offset: u32,
  first_level: u32,
  last_level: u32,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

// x times a 15-bit sigmoid: |y| <= 2^15 2^15.
fn mirrored_sigmoid(x: i32) -> i32 {
  let one = params.unit << params.octaves; // at most 2^15
  let distance = min(u32(abs(x)), params.limit) << params.fraction; // below 2^21
  let power = fixed_exponential(distance, params.unit, params.octaves); // at most one
  let sum = one + power; // at most 2^16
  let sigmoid = ((select(one, power, x < 0) << 15u) + sum / 2u) / sum; // the numerator is below 2^31
  return x * i32(sigmoid);
}

fn second_order(x: i32) -> i32 {
  let limit = (params.bound >> params.fraction) + 1u; // limit << fraction >= bound
  let clipped = min(min(u32(abs(x)), limit) << params.fraction, params.bound);
  let below = i32(params.bound - clipped);
  let parabola = below * below - i32(params.constant); // bound^2 <= constant < 2^31: in -constant .. 0
  let erf = (sign(x) * parabola) >> params.places; // >> rounds down
  return x * (i32(params.offset) - erf);
}

fn entry(index: u32) -> i32 {
  return select(i32(table[min(index, 255u)]), 0, index > 255u);
}

// |y| <= 2^15 2^15, entries and the products of the line below 2^30.
fn tail_table(x: i32) -> i32 {
  let size = u32(abs(x));
  let index = size >> params.places;
  let from_here = entry(index);
  let rise = (entry(index + 1u) - from_here) * i32(size & ((1u << params.places) - 1u));
  let tail = from_here + ((rise + ((1i << params.places) >> 1u)) >> params.places);
  return (max(x, 0) << 15u) - tail;
}

fn gelu_codes(y: i32) -> vec2<u32> {
  if (CODES != 0u) { return planes_of(y, vec2<u32>(params.multiplier, params.multiplier_shift)); }
  return vec2<u32>(twin_gelu_code(y, params.bits, params.shift, params.multiplier, params.multiplier_shift), 0u);
}

fn code_of(x: i32) -> vec2<u32> {
  if (METHOD == 3u) {
    let index = u32(x) & 0xffu;
    return vec2<u32>((table[index >> 2u] >> (8u * (index & 3u))) & 0xffu, 0u);
  }
  var y: i32;
  if (METHOD == 0u) { y = mirrored_sigmoid(x); }
  if (METHOD == 1u) { y = second_order(x); }
  if (METHOD == 2u) { y = tail_table(x); }
  return gelu_codes(y);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn int_gelu(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let words = (params.columns + 3u) / 4u;
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let row = index / words;
  if (row >= params.rows) { return; }
  let per_word = 32u / INPUT_BITS;
  let input_words = (params.columns + per_word - 1u) / per_word;
  let first = index % words * 4u;
  let end = min(first + 4u, params.columns);
  var packed = vec2<u32>(0u);
  for (var column = first; column < end; column++) {
    let word = source[row * input_words + column / per_word];
    let x = extractBits(i32(word), column % per_word * INPUT_BITS, INPUT_BITS);
    packed |= code_of(x) << vec2<u32>(8u * (column - first));
  }
  if (CODES != 2u) {
    codes[index] = packed.x;
    return;
  }
  codes[index + row * words] = packed.x;
  codes[index + (row + 1u) * words] = packed.y;
}
