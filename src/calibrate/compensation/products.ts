/** Vectors that are multiplied together: a processor keeps their sums in registers. */
export const TOGETHER = 8;

/**
 * `sums[i] = sum over j in first..end of factor[offset + j] vectors[j][i]`, every sum in index order.
 *
 * @param vectors f64 `[length][TOGETHER]`
 * @param sums f64 `[TOGETHER]`
 */
export function products(
  factor: Float64Array,
  offset: number,
  first: number,
  end: number,
  vectors: Float64Array,
  sums: Float64Array,
): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let s4 = 0;
  let s5 = 0;
  let s6 = 0;
  let s7 = 0;
  for (let j = first, at = first * TOGETHER; j < end; j++, at += TOGETHER) {
    const f = factor[offset + j] as number;
    s0 += f * (vectors[at] as number);
    s1 += f * (vectors[at + 1] as number);
    s2 += f * (vectors[at + 2] as number);
    s3 += f * (vectors[at + 3] as number);
    s4 += f * (vectors[at + 4] as number);
    s5 += f * (vectors[at + 5] as number);
    s6 += f * (vectors[at + 6] as number);
    s7 += f * (vectors[at + 7] as number);
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  sums[4] = s4;
  sums[5] = s5;
  sums[6] = s6;
  sums[7] = s7;
}
