// lib_levels: the value of an integer softmax or GELU as codes of other kinds than twin ranges. Functions only: appended to kernels.
// Names of the kernel that it is appended to: params.bits, params.first_level, params.last_level, CODES, table.
// CODES: 0 twin ranges, 1 levels of softmax, 2 levels of GELU, 3 uniform.

// The level nearest to `eighths` / 8, the upper one of two equally near, among table[first_level .. last_level], ascending.
fn nearest_level(eighths: i32) -> i32 {
  var low = params.first_level;
  var high = params.last_level;
  while (low < high) {
    let middle = (low + high + 1u) / 2u;
    let between = 4 * (i32(table[middle - 1u]) + i32(table[middle])); // of levels in -127 .. 16383: below 2^17
    if (eighths >= between) { low = middle; } else { high = middle - 1u; }
  }
  return i32(table[low]);
}

// The bytes of a value in the planes that a product reads: a level as 128 high + low, after GELU 128 high - low, each a twin code of
// 8 bits and shift 7; a uniform code in the first plane. The value counts in eighths of a level's unit or in uniform codes once it is
// rescaled by a dyadic of the form `int16`.
fn planes_of(value: i32, dyadic: vec2<u32>) -> vec2<u32> {
  let rescaled = dyadic_rescale_int16(value, dyadic.x, dyadic.y);
  if (CODES == 3u) {
    let q = 1i << (params.bits - 1u);
    return vec2<u32>(u32(clamp(rescaled, -q, q - 1)) & 0xffu, 0u);
  }
  let level = nearest_level(rescaled);
  let high = (level + select(0i, 127i, CODES == 2u)) >> 7u;
  let low = abs(level - (high << 7u));
  return vec2<u32>(u32(high) | select(0u, 128u, high > 0), u32(low));
}
