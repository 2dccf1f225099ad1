/**
 * KL(softmax(reference) || softmax(logits)) in nats, in double precision over log-sum-exp: never NaN for finite logits,
 * whatever their size, and exactly 0 for equal ones.
 */
export function klDivergence(reference: Float32Array, logits: Float32Array): number {
  const referenceNorm = logSumExp(reference);
  const norm = logSumExp(logits);
  let sum = 0;
  for (let i = 0; i < reference.length; i++) {
    const logP = (reference[i] as number) - referenceNorm;
    sum += Math.exp(logP) * (logP - ((logits[i] as number) - norm));
  }
  return Math.max(0, sum); // rounding can leave -1e-17 where the two are almost equal
}

/** log(sum of exp(values)). */
export function logSumExp(values: Float32Array): number {
  let max = -Infinity;
  for (const value of values) if (value > max) max = value;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - max);
  return max + Math.log(sum);
}
