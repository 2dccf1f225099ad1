/** `sums[i] = sum over j in first..end of factor[offset + j] vectors[i][j]`, four vectors at a time. */
export function products(
  factor: Float64Array,
  offset: number,
  first: number,
  end: number,
  vectors: readonly Float64Array[],
  count: number,
  sums: Float64Array,
): void {
  for (let i = 0; i < count; i += 4) {
    const [v0, v1, v2, v3] = [0, 1, 2, 3].map((n) => vectors[Math.min(i + n, count - 1)]) as Float64Array[] as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let j = first; j < end; j++) {
      const f = factor[offset + j] as number;
      s0 += f * (v0[j] as number);
      s1 += f * (v1[j] as number);
      s2 += f * (v2[j] as number);
      s3 += f * (v3[j] as number);
    }
    sums[i] = s0;
    if (i + 1 < count) sums[i + 1] = s1;
    if (i + 2 < count) sums[i + 2] = s2;
    if (i + 3 < count) sums[i + 3] = s3;
  }
}
