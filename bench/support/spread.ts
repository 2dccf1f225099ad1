/** Mean, standard deviation (of a sample) and extremes of repeated measurements. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number;
  readonly least: number;
  readonly most: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
  return { mean, deviation, least: Math.min(...values), most: Math.max(...values) };
}

/** The mean with the extremes in brackets, as a cell of a table. */
export function spreadCell({ mean, least, most }: Spread, digits: number): string {
  return `${mean.toFixed(digits)} (${least.toFixed(digits)} ... ${most.toFixed(digits)})`;
}
