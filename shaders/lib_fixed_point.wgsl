// Fixed point in 32-bit words (METHOD: integer-only inference): dyadic rescaling, floor division, 64-bit sums and square roots.
// A wide number is vec2<u32>(low word, high word), unsigned. Every function is exact for all arguments its line allows.

// (acc * multiplier + 2^(shift-1)) >> shift, half toward +infinity; multiplier < 2^15, 17 <= shift <= 46, any acc.
// |high * multiplier| <= 2^30 and low * multiplier < 2^31, so |t| <= 2^30 and the sum stays below 2^30 + 2^29.
fn dyadic_rescale_8(acc: i32, multiplier: u32, shift: u32) -> i32 {
  let t = (acc >> 16u) * i32(multiplier) + i32(((u32(acc) & 0xffffu) * multiplier) >> 16u);
  return (t + (1i << (shift - 17u))) >> (shift - 16u);
}

// The same for 16 bits: 2^14 <= multiplier < 2^15, 1 <= shift <= 46, |acc| < 2^31; a result past 2^17 may be another one past 2^17.
// Below a shift of 17 accumulators past 2^(shift+3), whose results are past 2^17, are cut to that; the rest is split where it
// fits: |high * multiplier| <= 2^30, and the part cut off is below the rounding bit.
fn dyadic_rescale_int16(acc: i32, multiplier: u32, shift: u32) -> i32 {
  let split = select(select(16u, 8u, shift < 17u), 0u, shift < 13u);
  let limit = select(2147483647i, 8i << shift, shift < 17u);
  let x = clamp(acc, -limit, limit);
  let low = u32(x) & ((1u << split) - 1u);
  let t = (x >> split) * i32(multiplier) + i32((low * multiplier) >> split);
  return (t + (1i << (shift - split - 1u))) >> (shift - split);
}

// The same for a term x of 16 bits: 2^14 <= multiplier < 2^15, 14 <= shift <= 30; |result| <= 2^16.
fn dyadic_rescale_term(x: i32, multiplier: u32, shift: u32) -> i32 {
  return (x * i32(multiplier) + (1i << (shift - 1u))) >> shift; // at most 2^30 + 2^29
}

// The same with multiplier < 2^31 and 1 <= shift <= 62, saturated to 32 bits.
fn dyadic_rescale_16(acc: i32, multiplier: u32, shift: u32) -> i32 {
  let low = u32(acc) & 0xffffu;
  let multiplier_low = multiplier & 0xffffu;
  let multiplier_high = multiplier >> 16u; // < 2^15
  let low_low = low * multiplier_low; // < 2^32
  let high_low = (acc >> 16u) * i32(multiplier_low); // |.| < 2^31
  let carry = low * multiplier_high + (low_low >> 16u); // < 2^31
  let middle = (u32(high_low) & 0xffffu) + (carry & 0xffffu); // < 2^17
  let top = (acc >> 16u) * i32(multiplier_high) + (high_low >> 16u) + i32((carry >> 16u) + (middle >> 16u)); // |.| <= 2^30
  let bottom = (middle << 16u) | (low_low & 0xffffu); // product = top * 2^32 + bottom
  if (shift > 32u) { return (top + (1i << (shift - 33u))) >> (shift - 32u); } // the sum is at most 2^30 + 2^29
  let half = 1u << (shift - 1u);
  let rounded = bottom + half;
  let rounded_top = top + select(0i, 1i, rounded < half);
  if (shift == 32u) { return rounded_top; }
  let sign = rounded_top >> 31u;
  if ((rounded_top >> (shift - 1u)) != sign) { return sign ^ 0x7fffffffi; }
  return i32((u32(rounded_top) << (32u - shift)) | (rounded >> shift));
}

// a + b where both are cut to 31 bits first, so that the sum fits; cut to 16 bits.
fn saturating_add_16(a: i32, b: i32) -> i32 {
  let most = 1073741823i;
  return clamp(clamp(a, -most - 1i, most) + clamp(b, -most - 1i, most), -32768i, 32767i);
}

// The 16-bit halves of a word as signed integers.
fn unpack_2xi16(word: u32) -> vec2<i32> {
  return vec2<i32>(i32(word << 16u) >> 16u, i32(word) >> 16u);
}

// Two integers of -32768..32767 in the halves of a word.
fn pack_2xi16(values: vec2<i32>) -> u32 {
  return (u32(values.x) & 0xffffu) | (u32(values.y) << 16u);
}

// Number of bits up to the highest 1; 0 for 0.
fn bit_length(x: u32) -> u32 {
  return 32u - countLeadingZeros(x);
}

// floor(a / b), b > 0.
fn floor_divide(a: i32, b: u32) -> i32 {
  let sign = u32(a >> 31u);
  return i32(((u32(a) ^ sign) / b) ^ sign); // for a < 0: floor(a / b) = ~(~a / b)
}

// floor(sqrt(x)): Newton from a power of two that is not below the root, falling until it stops (Guo and Rump 2004, I-BERT).
fn isqrt(x: u32) -> u32 {
  if (x == 0u) { return 0u; }
  var root = 1u << ((bit_length(x) + 1u) / 2u); // at most 2^16, so root + x / root < 2^17
  loop {
    let next = (root + x / root) / 2u;
    if (next >= root) { return root; }
    root = next;
  }
}

fn wide_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let low = a.x + b.x;
  return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// a - b, b <= a.
fn wide_subtract(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn wide_multiply(a: u32, b: u32) -> vec2<u32> {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let cross = (a >> 16u) * (b & 0xffffu) + (low >> 16u); // <= (2^16-1)^2 + 2^16-1 < 2^32
  let other = (a & 0xffffu) * (b >> 16u) + (cross & 0xffffu);
  return vec2<u32>((other << 16u) | (low & 0xffffu), (a >> 16u) * (b >> 16u) + (cross >> 16u) + (other >> 16u));
}

// a << places, places < 64; bits above 2^64 are lost.
fn wide_shift_left(a: vec2<u32>, places: u32) -> vec2<u32> {
  if (places == 0u) { return a; }
  if (places >= 32u) { return vec2<u32>(0u, a.x << (places - 32u)); }
  return vec2<u32>(a.x << places, (a.y << places) | (a.x >> (32u - places)));
}

// floor(a / b), b < 2^31 and a < 2^32 b.
fn wide_divide(a: vec2<u32>, b: u32) -> u32 {
  if (a.y == 0u) { return a.x / b; }
  var rest = a.y; // < b
  var quotient = 0u;
  for (var bit = 0u; bit < 32u; bit++) {
    rest = (rest << 1u) | ((a.x >> (31u - bit)) & 1u); // < 2 b < 2^32
    quotient = quotient << 1u;
    if (rest >= b) {
      rest -= b;
      quotient |= 1u;
    }
  }
  return quotient;
}

// floor(sqrt(a)), a < 2^60, two bits at a time: root < 2^30, rest <= 2 root, so every word below stays under 2^32.
fn wide_isqrt(a: vec2<u32>) -> u32 {
  var left = wide_shift_left(a, 4u);
  var root = 0u;
  var rest = 0u;
  for (var digit = 0u; digit < 30u; digit++) {
    rest = (rest << 2u) | (left.y >> 30u);
    left = wide_shift_left(left, 2u);
    let trial = (root << 2u) | 1u;
    root = root << 1u;
    if (rest >= trial) {
      rest -= trial;
      root |= 1u;
    }
  }
  return root;
}
