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

/** Reference of `score_cosine.wgsl` in double: `[candidates][images * heads][rows][parts]`. */
export function scoreCosineReference(data: ScoreData, shape: ScoreShape & { readonly parts: number }): Float64Array {
  const { candidates, images, heads, rows, columns, parts } = shape;
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
        cosines.push(cosineSimilarity(y, output.subarray(first, first + width)));
      }
    }
  }
  return Float64Array.from(cosines);
}
