export interface Classification {
  /** Most probable first, the lower index first where two are equal. */
  readonly top: readonly RankedClass[];
}

export interface RankedClass {
  readonly index: number;
  /** Null in a model without labels. */
  readonly label: string | null;
  /** Softmax of the real logits, in 0..1. */
  readonly probability: number;
}

/** The `top` most probable classes of one row of integer logits whose real value is `logitScale` times the integer. */
export function classification(
  logits: Int32Array,
  logitScale: number,
  labels: readonly string[] | null,
  top: number,
): Classification {
  const order = Array.from(logits.keys()).sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
  const largest = logits[order[0] as number] as number;
  const weight = (index: number) => Math.exp(((logits[index] as number) - largest) * logitScale);
  const sum = order.reduce((total, index) => total + weight(index), 0);
  return {
    top: order
      .slice(0, top)
      .map((index) => ({ index, label: labels?.[index] ?? null, probability: weight(index) / sum })),
  };
}
