/** u32 words of a row of 16-bit integers: two a word, padded with zeros. */
export function int16Words(columns: number): number {
  return Math.ceil(columns / 2);
}
