// lib_codes: packed 8-bit codes as integers, and their products. Functions only: appended to kernels.

// The integers behind the four codes of a word of operand A. kind 0: signed bytes; 1, 2: the twin codes of softmax and of GELU
// (PTQ4ViT, section 3.2), flag in the highest of `bits` bits, the coarse range shifted up to the unit of the fine one.
fn decode_codes(word: u32, kind: u32, bits: u32, shift: u32) -> vec4<i32> {
  if (kind == 0u) { return unpack4xI8(word); }
  let mask = 0x01010101u * ((1u << (bits - 1u)) - 1u);
  let magnitude = vec4<i32>(unpack4xU8(word & mask));
  let flag = (vec4<u32>(word) >> vec4<u32>(bits - 1u, bits + 7u, bits + 15u, bits + 23u)) & vec4<u32>(1u);
  if (kind == 1u) { return magnitude << (flag * shift); }
  return select(-magnitude, magnitude << vec4<u32>(shift), flag == vec4<u32>(1u));
}

// Four depths of a row times the same depths of four columns.
fn row_sum(row: vec4<i32>, b0: vec4<i32>, b1: vec4<i32>, b2: vec4<i32>, b3: vec4<i32>) -> vec4<i32> {
  return row.x * b0 + row.y * b1 + row.z * b2 + row.w * b3;
}

// The same codes as packed signed bytes for dot4I8Packed: (those added as they are, those added shifted up). A fine code of GELU
// counts negative, see `dot_codes`.
fn split_codes(word: u32, kind: u32, bits: u32) -> vec2<u32> {
  if (kind == 0u) { return vec2<u32>(word, 0u); }
  let magnitude = word & (0x01010101u * ((1u << (bits - 1u)) - 1u));
  let coarse = ((word >> (bits - 1u)) & 0x01010101u) * 255u;
  return vec2<u32>(magnitude & ~coarse, magnitude & coarse);
}

// Product of four codes split by `split_codes` with four signed bytes.
fn dot_codes(parts: vec2<u32>, b: u32, kind: u32, shift: u32) -> i32 {
  let fine = dot4I8Packed(parts.x, b);
  if (kind == 0u) { return fine; }
  let coarse = dot4I8Packed(parts.y, b) << shift;
  return select(coarse + fine, coarse - fine, kind == 2u);
}
