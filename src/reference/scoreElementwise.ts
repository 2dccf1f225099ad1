import { matmulCodesReference } from './matmulCodes.ts';

export interface ScoreView {
  readonly offset: number;
  readonly imageStride: number;
  readonly headStride: number;
  readonly rowStride: number;
}

export interface ScoreShape {
  readonly candidates: number;
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly aKind: 'uniform' | 'twin-softmax' | 'twin-gelu';
  readonly aBits: number;
  readonly aCandidateStride: number;
  readonly bCandidateStride: number;
  readonly bBatchStride: number;
  readonly scaleCandidateStride: number;
  readonly scaleHeadStride: number;
  readonly scaleColumnStride: number;
  readonly y: ScoreView;
}

export interface ScoreData {
  readonly a: Uint32Array;
  readonly b: Uint32Array;
  readonly scales: Float32Array;
  readonly bias: Float32Array | null;
  readonly y: Float32Array;
  readonly shifts: Uint32Array | null;
}

/** Quantized outputs of one candidate `[images * heads][rows][columns]`, in double: exact sums, scale and bias unrounded. */
export function candidateOutput(data: ScoreData, shape: ScoreShape, candidate: number): Float64Array {
  const { images, heads, rows, depth, columns, aKind, aBits, bBatchStride } = shape;
  const shift = data.shifts?.[candidate] ?? 0;
  const product = { kind: aKind, bits: aBits, shift, batch: images * heads, rows, depth, columns, bBatchStride };
  const aFirst = candidate * shape.aCandidateStride;
  const sums = matmulCodesReference(data.a, data.b, product, aFirst, candidate * shape.bCandidateStride);
  return sums.map((sum, i) => {
    const column = i % columns;
    const head = Math.floor(i / (rows * columns)) % heads;
    const at = candidate * shape.scaleCandidateStride + head * shape.scaleHeadStride + column * shape.scaleColumnStride;
    return sum * (data.scales[at] as number) + (data.bias?.[column] ?? 0);
  });
}

/** Element (entry = image * heads + head, row, column) of a view. */
export function viewElement(
  values: Float32Array,
  { offset, imageStride, headStride, rowStride }: ScoreView,
  heads: number,
  entry: number,
  row: number,
  column: number,
): number {
  const first = offset + Math.floor(entry / heads) * imageStride + (entry % heads) * headStride;
  return values[first + row * rowStride + column] as number;
}

export type ScoreMetric = 'hessian' | 'mse' | 'l1' | 'linear-weighted-mse' | 'square-weighted-mse';

/** What one element adds to a score (PTQ4ViT, section 3.3 and figure 5): y is the float output, g its gradient. */
export function elementScore(metric: ScoreMetric, y: number, error: number, g: number): number {
  switch (metric) {
    case 'hessian':
      return (g * error) ** 2;
    case 'mse':
      return error ** 2;
    case 'l1':
      return Math.abs(error);
    case 'linear-weighted-mse':
      return Math.abs(y) * error ** 2;
    case 'square-weighted-mse':
      return (y * error) ** 2;
  }
}

/** Reference of `score_elementwise.wgsl` in double: `[candidates][images * heads][ceil(rows / 32)][columns]`. */
export function scoreElementwiseReference(
  data: ScoreData & { readonly gradient: Float32Array | null },
  shape: ScoreShape & { readonly metric: ScoreMetric; readonly gradient?: ScoreView },
): Float64Array {
  const { candidates, images, heads, rows, columns, metric } = shape;
  const batch = images * heads;
  const groups = Math.ceil(rows / 32);
  const partials = new Float64Array(candidates * batch * groups * columns);
  for (let candidate = 0; candidate < candidates; candidate++) {
    const output = candidateOutput(data, shape, candidate);
    for (let entry = 0; entry < batch; entry++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const y = viewElement(data.y, shape.y, heads, entry, row, column);
          const error = y - (output[(entry * rows + row) * columns + column] as number);
          const g =
            data.gradient && shape.gradient
              ? viewElement(data.gradient, shape.gradient, heads, entry, row, column)
              : Number.NaN;
          const group = Math.floor(row / 32);
          const at = ((candidate * batch + entry) * groups + group) * columns + column;
          partials[at] = (partials[at] as number) + elementScore(metric, y, error, g);
        }
      }
    }
  }
  return partials;
}
