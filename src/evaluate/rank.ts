/** Index of the largest logit; of equal ones the lowest index. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] as number) > (logits[best] as number)) best = i;
  return best;
}

/**
 * Place of class `label` in the order of falling logits, 0 first; of equal logits the lower index comes first.
 * A label is right in the top k when its place is below k.
 */
export function placeOf(logits: Float32Array, label: number): number {
  const own = logits[label] as number;
  let place = 0;
  for (let i = 0; i < logits.length; i++) {
    const other = logits[i] as number;
    if (other > own || (other === own && i < label)) place++;
  }
  return place;
}
