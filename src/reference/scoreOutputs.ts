import { cosineSimilarity, pearsonCorrelation } from './scoreCosine.ts';
import { viewElement, type ScoreView } from './scoreElementwise.ts';

export interface ScoreOutputsShape {
  readonly metric: 'mse' | 'hessian' | 'l1' | 'linear-weighted-mse' | 'square-weighted-mse' | 'cosine' | 'pearson';
  readonly candidates: number;
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  readonly parts: number;
  readonly y: ScoreView;
}

/** Reference of `score_outputs.wgsl` in double: `[candidates][images * heads][ceil(rows / 32)][parts]`. */
export function scoreOutputsReference(
  outputs: Float32Array,
  y: Float32Array,
  gradient: Float32Array | null,
  shape: ScoreOutputsShape,
): Float64Array {
  const { metric, candidates, images, heads, rows, columns, parts } = shape;
  const width = columns / parts;
  const groups = Math.ceil(rows / 32);
  const partials = new Float64Array(candidates * images * heads * groups * parts);
  for (let line = 0; line < candidates * images * heads; line++) {
    const entry = line % (images * heads);
    for (let row = 0; row < rows; row++) {
      for (let part = 0; part < parts; part++) {
        const at = (values: Float32Array) =>
          Array.from({ length: width }, (_, i) => viewElement(values, shape.y, heads, entry, row, part * width + i));
        const first = (line * rows + row) * columns + part * width;
        const made = outputs.subarray(first, first + width);
        const index = (line * groups + Math.floor(row / 32)) * parts + part;
        partials[index] = (partials[index] as number) + rowScore(metric, at(y), made, gradient && at(gradient));
      }
    }
  }
  return partials;
}

function rowScore(
  metric: ScoreOutputsShape['metric'],
  y: readonly number[],
  made: Float32Array,
  gradient: readonly number[] | null,
): number {
  if (metric === 'cosine') return 1 - cosineSimilarity(y, made);
  if (metric === 'pearson') return 1 - pearsonCorrelation(y, made);
  return y.reduce((sum, value, i) => {
    const error = value - (made[i] as number);
    switch (metric) {
      case 'mse':
        return sum + error ** 2;
      case 'hessian':
        return sum + ((gradient?.[i] as number) * error) ** 2;
      case 'l1':
        return sum + Math.abs(error);
      case 'linear-weighted-mse':
        return sum + Math.abs(value) * error ** 2;
      case 'square-weighted-mse':
        return sum + (value * error) ** 2;
    }
  }, 0);
}
