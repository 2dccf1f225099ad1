import { candidateOutput, viewElement, type ScoreData, type ScoreShape } from './scoreElementwise.ts';

/** Cosine similarity as `torch.nn.functional.cosine_similarity` with eps 1e-8. */
export function cosineSimilarity(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let [dot, powerX, powerY] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [a, b] = [x[i] as number, y[i] as number];
    dot += a * b;
    powerX += a * a;
    powerY += b * b;
  }
  return dot / (Math.max(Math.sqrt(powerX), 1e-8) * Math.max(Math.sqrt(powerY), 1e-8));
}

/** Cosine similarity of both less their means: Pearson's correlation. */
export function pearsonCorrelation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  return cosineSimilarity(centred(x), centred(y));
}

function centred(x: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(x);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

/** Reference of `score_cosine.wgsl` in double: `[candidates][images * heads][rows][parts]`. */
export function scoreCosineReference(
  data: ScoreData,
  shape: ScoreShape & { readonly parts: number; readonly metric?: 'cosine' | 'pearson' },
): Float64Array {
  const { candidates, images, heads, rows, columns, parts, metric } = shape;
  const similarity = metric === 'pearson' ? pearsonCorrelation : cosineSimilarity;
  const width = columns / parts;
  const cosines: number[] = [];
  for (let candidate = 0; candidate < candidates; candidate++) {
    const output = candidateOutput(data, shape, candidate);
    for (let line = 0; line < images * heads * rows; line++) {
      for (let part = 0; part < parts; part++) {
        const [entry, row] = [Math.floor(line / rows), line % rows];
        const y = Array.from({ length: width }, (_, i) =>
          viewElement(data.y, shape.y, heads, entry, row, part * width + i),
        );
        const first = line * columns + part * width;
        cosines.push(similarity(y, output.subarray(first, first + width)));
      }
    }
  }
  return Float64Array.from(cosines);
}
