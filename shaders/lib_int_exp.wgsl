// lib_int_exp: exponentials, shares and twin codes on integers; appended after the integer softmax and GELU kernels, with
// lib_fixed_point after it.

// I-ViT's shift exponential, section 3.3 and `int_exp_shift` of its code: unit 2^octaves e^(x / unit), where x is multiplied by
// 1.0111b and 2^-rest is the line 1 - rest / 2. |x| <= 2^17, 1 <= unit << octaves < 2^31. Saturates at 2^31 - 1, which only
// x > 0 can reach.
fn shift_exponential(x: i32, unit: u32, octaves: u32) -> u32 {
  let scaled = x + (x >> 1u) - (x >> 4u); // |.| <= 2^18; >> rounds down
  if (scaled > 0) {
    let up = (u32(scaled) + unit - 1u) / unit;
    let line = unit + unit - (up * unit - u32(scaled)); // in unit + 1 .. 2 unit: below 2^32
    let places = octaves + up - 1u;
    if (line > (0x7fffffffu >> min(places, 30u))) { return 0x7fffffffu; }
    return line << places;
  }
  let distance = min(u32(-scaled), octaves * unit); // octaves unit < 2^31 as unit << octaves is
  let down = distance / unit;
  if (down == octaves) { return unit; } // the published clamp at e^-octaves
  return (unit + unit - (distance - down * unit)) << (octaves - down - 1u); // at most unit << octaves
}

// The same line without the clamp: unit 2^octaves 2^-(distance / unit), 0 beyond 31 octaves. unit << octaves <= 2^30.
fn fixed_exponential(distance: u32, unit: u32, octaves: u32) -> u32 {
  let down = distance / unit;
  if (down > 30u) { return 0u; }
  return ((unit + unit - (distance - down * unit)) << octaves) >> (down + 1u); // 2 unit << octaves <= 2^31
}

// What `share` needs of a row: the places that bring the top bit of sum to the front, and the reciprocal of its leading 16 bits.
// 1 <= sum < 2^32.
fn share_of(sum: u32) -> vec2<u32> {
  let places = countLeadingZeros(sum);
  let leading = ((sum << places) >> 16u) + 1u; // 2^15 + 1 .. 2^16, rounded up
  return vec2<u32>(places, 0xffffffffu / leading); // below 2^17
}

// part / sum in units of 2^-24, at most 2^-14 of it too small; part <= sum.
fn share(part: u32, row: vec2<u32>) -> u32 {
  let product = wide_multiply(part << row.x, row.y); // below 2^32 2^17
  return (product.y << 8u) | (product.x >> 24u);
}

// Twin code of a probability in units of 2^-24, at most 2^24: R1 below the threshold, half up, clamped. bits - 1 + shift <= 22.
fn twin_softmax_code(probability: u32, bits: u32, shift: u32, threshold: u32) -> u32 {
  let flag = 1u << (bits - 1u);
  let is_r2 = probability >= threshold;
  let places = 25u - bits - select(shift, 0u, is_r2); // at least 2
  let magnitude = min((probability + (1u << (places - 1u))) >> places, flag - 1u);
  return magnitude | select(0u, flag, is_r2);
}

// Twin code of an integer GELU result y, |y| < 2^31: negative R1, positive R2, half away from zero, clamped; magnitude 0 is code 0.
fn twin_gelu_code(y: i32, bits: u32, shift: u32, multiplier: u32, multiplier_shift: u32) -> u32 {
  let flag = 1u << (bits - 1u);
  let is_r2 = y > 0;
  let places = multiplier_shift + select(0u, shift, is_r2);
  if (places > 46u) { return 0u; } // |y| multiplier < 2^46 is less than half of 2^places
  let magnitude = min(u32(dyadic_rescale_int16(abs(y), multiplier, places)), flag - 1u); // past 2^17 it stays past
  return magnitude | select(0u, flag, is_r2 && magnitude != 0u);
}
