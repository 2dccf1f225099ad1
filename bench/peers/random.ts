/** Numbers of a small fixed generator, the same in every run. */
function generator(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8;
}

/** u32 words of `rows` rows of `depth` random codes, packed four a word; the padding of a row is zero. */
export function words(rows: number, depth: number, seed: number): Uint32Array {
  const next = generator(seed);
  const packed = new Uint32Array(rows * Math.ceil(depth / 4));
  const bytes = new Uint8Array(packed.buffer);
  for (let row = 0; row < rows; row++) {
    for (let d = 0; d < depth; d++) bytes[4 * row * Math.ceil(depth / 4) + d] = next() >>> 8;
  }
  return packed;
}

/** f32 in -1..1. */
export function floats(count: number, seed: number): Float32Array<ArrayBuffer> {
  const next = generator(seed);
  return Float32Array.from({ length: count }, () => next() / 2 ** 23 - 1);
}
