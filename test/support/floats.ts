/** Reproducible values in [-1, 1), the sum of which is near zero; another `seed`, another sequence. */
export function noise(count: number, seed: number, scale = 1): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return scale * ((state >>> 8) / 2 ** 23 - 1);
  });
}

/** `values` at the start of a longer array full of junk, as inside a pooled buffer. */
export function withJunk(values: Float32Array, extra = 13): Float32Array {
  const longer = new Float32Array(values.length + extra).fill(1e6);
  longer.set(values);
  return longer;
}
