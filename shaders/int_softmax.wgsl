// int_softmax: integer softmax of attention logits, written as codes, by one of four methods.
//
// in   accumulators  i32 [rows][columns], the integer product Q.K^T; rows counts all images, heads and tokens. -2^31 is masked: no
//                    part of the sum and probability 0, unless the whole row is -2^31
// in   rescales      u32 [heads][2]: multiplier (15 bits) and shift (1..46) that turn an accumulator of the head into a logit;
//                    the head of a row is row / rows_per_head % heads; without twin ranges as many follow for `planes_of`
// in   table         u32 [256], entry i is one 2^(-i / 256); read by METHOD 3 alone; then the levels of CODES 1
// out  codes         u32 [rows][planes][words], four codes a word, column c in byte c % 4; words = ceil(columns / 4); bytes past it
//                    are 0; two planes for CODES 1, else one
//
// logit = clamp((acc multiplier + 2^(shift-1)) >> shift, -2^(logit_bits-1), 2^(logit_bits-1) - 1), half toward +infinity.
// distance = largest logit of the row - logit, below 2^logit_bits <= 2^16. METHOD is how e^(-distance S) is taken:
//   0 shift        I-ViT's Shiftmax as published (section 3.3; n = 15, the sum saturates, 16-bit output)
//   1 shift-fixed  one line an octave of `unit` = 2^fraction ln 2 / S, n = `octaves`; sum <= columns unit 2^n <= 2^30
//   2 poly         I-BERT's i-exp (section 3.4): r^2 + linear r + constant, whole octaves shifted, 16-bit parts
//   3 lut          2^-(i / 256) from the table, i / 256 = distance S log2 e by multiplier / 2^multiplier_shift; sum <= 2^30
// The twin code of a probability p (2^-24), CODES 0: R1 below `threshold`, R2 from it on, magnitude half up and clamped (PTQ4ViT,
// section 3.2); the others are those of lib_levels.
// Integers only, bit-exact on every adapter. A row is taken by LANES lanes, a power of two that divides WORKGROUP_SIZE; sums and
// maxima of integers do not depend on it. The wrapper refuses constants that would pass a bound below.
//
// | binding | name         | space          | type             |
// |---------|--------------|----------------|------------------|
// | 0       | accumulators | storage, read  | array<i32>       |
// | 1       | rescales     | storage, read  | array<vec2<u32>> |
// | 2       | table        | storage, read  | array<u32>       |
// | 3       | codes        | storage, write | array<u32>       |
// | 4       | params       | uniform        | Params           |

override WORKGROUP_SIZE: u32 = 32;
override LANES: u32 = 1;
override METHOD: u32 = 0;
override CODES: u32 = 0;

struct Params {
  rows: u32,
  columns: u32,
  rows_per_head: u32,
  heads: u32,
  logit_bits: u32,
  bits: u32,
  shift: u32,
  threshold: u32,
  unit: u32,
  fraction: u32,
  octaves: u32,
  limit: u32,
  linear: u32,
  constant: u32,
  multiplier: u32,
  multiplier_shift: u32,
  first_level: u32,
  last_level: u32,
}

@group(0) @binding(0) var<storage, read> accumulators: array<i32>;
@group(0) @binding(1) var<storage, read> rescales: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> codes: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

const MASKED = -2147483647i - 1i;

var<workgroup> lane_values: array<u32, WORKGROUP_SIZE>;

fn logit_of(accumulator: i32, scale: vec2<u32>) -> i32 {
  let q = 1i << (params.logit_bits - 1u);
  return clamp(dyadic_rescale_int16(accumulator, scale.x, scale.y), -q, q - 1);
}

// The part of an accumulator in the sum of a row whose largest is `peak`.
fn part_of(accumulator: i32, peak: i32, scale: vec2<u32>) -> u32 {
  if (accumulator == MASKED && peak != MASKED) { return 0u; }
  return exponential(u32(logit_of(peak, scale) - logit_of(accumulator, scale)));
}

// e^(-distance S) in the units of the method.
fn exponential(distance: u32) -> u32 {
  if (METHOD == 0u) { return shift_exponential(-i32(distance), params.unit, 15u); }
  if (METHOD == 3u) {
    let half = 1u << (params.multiplier_shift - 1u);
    let steps = (distance * params.multiplier + half) >> params.multiplier_shift; // of 1/256 octave; below 2^31 + 2^29 before
    return table[steps & 255u] >> min(steps >> 8u, 31u); // entries are at most 2^30
  }
  // Beyond the limit, 30 octaves and more, the result is 0; limit << fraction is below 2^23.
  let fine = min(distance, params.limit) << params.fraction;
  if (METHOD == 1u) { return fixed_exponential(fine, params.unit, params.octaves); }
  let down = fine / params.unit;
  let rest = fine - down * params.unit; // below unit <= linear, so the product below is in 0 .. unit linear < 2^31
  let z = max(i32(params.constant) - i32(rest * (params.linear - rest)), 0);
  let places = params.multiplier_shift + down;
  if (places > 62u) { return 0u; } // z multiplier < 2^62 is less than half of 2^places
  return u32(dyadic_rescale_16(z, params.multiplier, places));
}

// What turns a part of the sum into a probability.
fn row_factor(sum: u32) -> vec2<u32> {
  if (METHOD == 0u) { return vec2<u32>(0x7fffffffu / sum, 0u); }
  if (METHOD == 2u) {
    let factor = 0xffffffffu / sum;
    return vec2<u32>(factor + select(0u, 1u, 0xffffffffu - factor * sum == sum - 1u), 0u); // floor(2^32 / sum), sum > 1
  }
  return share_of(sum);
}

// The probability in units of 2^-24.
fn probability_of(part: u32, factor: vec2<u32>) -> u32 {
  if (METHOD == 0u) { return ((part * factor.x) >> 16u) << 9u; } // part <= sum: the product is below 2^31
  if (METHOD == 2u) { return (part * factor.x) >> 8u; } // part <= 32767: the product is below 2^32
  return share(part, factor);
}

fn code_of(probability: u32, head: u32) -> vec2<u32> {
  if (CODES != 0u) { return planes_of(i32(probability), rescales[params.heads + head]); }
  return vec2<u32>(twin_softmax_code(probability, params.bits, params.shift, params.threshold), 0u);
}

// The largest, or the sum, of `value` over the LANES lanes of a row; `largest` compares as signed.
fn over_lanes(value: u32, lane: u32, index: u32, largest: bool) -> u32 {
  if (LANES == 1u) { return value; }
  lane_values[index] = value;
  workgroupBarrier();
  for (var step = LANES / 2u; step > 0u; step = step / 2u) {
    if (lane < step) {
      let other = lane_values[index + step];
      let own = lane_values[index];
      lane_values[index] = select(add(own, other), u32(max(i32(own), i32(other))), largest);
    }
    workgroupBarrier();
  }
  let result = lane_values[index - lane];
  workgroupBarrier();
  return result;
}

// Sums of METHOD 0 saturate at 2^31 - 1, both terms being at most that; the others' stay below 2^32.
fn add(a: u32, b: u32) -> u32 {
  if (METHOD == 0u) { return min(a + b, 0x7fffffffu); }
  return a + b;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn int_softmax(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let lane = index % LANES;
  let wanted = (group.y * groups.x + group.x) * (WORKGROUP_SIZE / LANES) + index / LANES;
  let row = min(wanted, params.rows - 1u); // every lane reaches the barriers; rows past the last are not written
  let first = row * params.columns;
  let head = row / params.rows_per_head % params.heads;
  let scale = rescales[head];
  let words = (params.columns + 3u) / 4u;

  // The rescale rises with the accumulator, so the largest logit is that of the largest accumulator.
  var peak = MASKED;
  for (var word = lane; word < words; word += LANES) {
    let end = min(4u * word + 4u, params.columns);
    for (var column = 4u * word; column < end; column++) { peak = max(peak, accumulators[first + column]); }
  }
  peak = i32(over_lanes(u32(peak), lane, index, true));

  var partial = 0u;
  for (var word = lane; word < words; word += LANES) {
    let end = min(4u * word + 4u, params.columns);
    for (var column = 4u * word; column < end; column++) {
      partial = add(partial, part_of(accumulators[first + column], peak, scale));
    }
  }
  let factor = row_factor(over_lanes(partial, lane, index, false)); // the sum holds e^0, so it is not 0

  if (wanted >= params.rows) { return; }
  for (var word = lane; word < words; word += LANES) {
    let end = min(4u * word + 4u, params.columns);
    var packed = vec2<u32>(0u);
    for (var column = 4u * word; column < end; column++) {
      let part = part_of(accumulators[first + column], peak, scale);
      packed |= code_of(probability_of(part, factor), head) << vec2<u32>(8u * (column - 4u * word));
    }
    let planes = select(1u, 2u, CODES == 1u);
    codes[row * planes * words + word] = packed.x;
    if (planes == 2u) { codes[(row * planes + 1u) * words + word] = packed.y; }
  }
}
