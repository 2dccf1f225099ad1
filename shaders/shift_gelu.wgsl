// shift_gelu: I-ViT's ShiftGELU as published (section 3.3 and `IntGELU` of its code), written as codes.
//
// in   source  u32 [rows][input words], signed codes of INPUT_BITS bits: 8, four a word, or 16, two a word; rows padded to words
// in   table   u32, the levels of CODES 2; else not read
// out  codes   u32 [rows][planes][words], four codes a word, column c in byte c % 4; words = ceil(columns / 4); bytes past it are 0;
//              two planes for CODES 2, else one
//
// With max the largest code of the row and e = shift_exponential(., unit, 23): sum = min(e(x - max) + e(-max), 2^31 - 1),
// sigmoid = (e(x - max) floor((2^31 - 1) / sum)) >> 24, y = x sigmoid in units of S 2^-7. e is never below unit, that is e^-16:
// once a row passes about 9.4 the sigmoid of its small values is wrong. `int_gelu` has the repair.
// A twin code, CODES 0, is R1 for y < 0, |y| multiplier / 2^multiplier_shift, and R2 for y > 0, 2^-shift of that; half away from zero, clamped;
// magnitude 0 is code 0; the others are those of lib_levels. Integers only, bit-exact on every adapter. A row is taken by LANES
// lanes, a power of two that divides WORKGROUP_SIZE; the maximum does not depend on it.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | source | storage, read  | array<u32> |
// | 1       | table  | storage, read  | array<u32> |
// | 2       | codes  | storage, write | array<u32> |
// | 3       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 32;
override LANES: u32 = 1;
override INPUT_BITS: u32 = 16;
override CODES: u32 = 0;

struct Params {
  rows: u32,
  columns: u32,
  bits: u32,
  shift: u32,
  multiplier: u32,
  multiplier_shift: u32,
  unit: u32,
  first_level: u32,
  last_level: u32,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> lane_values: array<i32, WORKGROUP_SIZE>;

fn input_at(row: u32, column: u32) -> i32 {
  let per_word = 32u / INPUT_BITS;
  let input_words = (params.columns + per_word - 1u) / per_word;
  let word = source[row * input_words + column / per_word];
  return extractBits(i32(word), column % per_word * INPUT_BITS, INPUT_BITS);
}

fn gelu_codes(y: i32) -> vec2<u32> {
  if (CODES != 0u) { return planes_of(y, vec2<u32>(params.multiplier, params.multiplier_shift)); }
  return vec2<u32>(twin_gelu_code(y, params.bits, params.shift, params.multiplier, params.multiplier_shift), 0u);
}

// The largest of `value` over the LANES lanes of a row.
fn over_lanes(value: i32, lane: u32, index: u32) -> i32 {
  if (LANES == 1u) { return value; }
  lane_values[index] = value;
  workgroupBarrier();
  for (var step = LANES / 2u; step > 0u; step = step / 2u) {
    if (lane < step) { lane_values[index] = max(lane_values[index], lane_values[index + step]); }
    workgroupBarrier();
  }
  return lane_values[index - lane];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn shift_gelu(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let lane = index % LANES;
  let wanted = (group.y * groups.x + group.x) * (WORKGROUP_SIZE / LANES) + index / LANES;
  let row = min(wanted, params.rows - 1u); // every lane reaches the barriers; rows past the last are not written
  let words = (params.columns + 3u) / 4u;

  var peak = -32768i;
  for (var word = lane; word < words; word += LANES) {
    let end = min(4u * word + 4u, params.columns);
    for (var column = 4u * word; column < end; column++) { peak = max(peak, input_at(row, column)); }
  }
  let largest = over_lanes(peak, lane, index);
  if (wanted >= params.rows) { return; }

  let from_zero = shift_exponential(-largest, params.unit, 23u); // at most 2^31 - 1
  for (var word = lane; word < words; word += LANES) {
    let end = min(4u * word + 4u, params.columns);
    var packed = vec2<u32>(0u);
    for (var column = 4u * word; column < end; column++) {
      let x = input_at(row, column);
      let part = shift_exponential(x - largest, params.unit, 23u); // at most unit << 23 < 2^31
      let factor = 0x7fffffffu / min(part + from_zero, 0x7fffffffu); // the sum is below 2^32 and, as part is, above 0
      let sigmoid = (part * factor) >> 24u; // the product is at most 2^31 - 1: at most 127
      packed |= gelu_codes(x * i32(sigmoid)) << vec2<u32>(8u * (column - 4u * word));
    }
    let planes = select(1u, 2u, CODES == 2u);
    codes[row * planes * words + word] = packed.x;
    if (planes == 2u) { codes[(row * planes + 1u) * words + word] = packed.y; }
  }
}
