/** What softmax leaves out. */
const MASKED_SCORE = -(2 ** 31);

/**
 * Reference of `attention_bias_i32.wgsl`: scores `[groups][heads][tokens][tokens]`, values `[heads][entries]`, regions
 * `[windows][tokens]` or null, windows innermost in the groups.
 */
export function attentionBiasI32Reference(
  scores: Int32Array,
  { index, values, regions }: { index: Uint32Array; values: Int32Array; regions: Uint32Array | null },
  { heads, tokens }: { heads: number; tokens: number },
): Int32Array<ArrayBuffer> {
  const entries = values.length / heads;
  const windows = regions ? regions.length / tokens : 1;
  const y = new Int32Array(scores.length);
  let at = 0;
  for (let group = 0; at < scores.length; group++) {
    const own = regions?.subarray((group % windows) * tokens);
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < tokens; i++) {
        for (let j = 0; j < tokens; j++, at++) {
          const score = scores[at] as number;
          const sum = score + (values[head * entries + (index[i * tokens + j] as number)] as number);
          const apart = own !== undefined && own[i] !== own[j];
          y[at] = apart || score === MASKED_SCORE ? MASKED_SCORE : Math.max(1 - 2 ** 31, Math.min(sum, 2 ** 31 - 1));
        }
      }
    }
  }
  return y;
}
