import { submit } from '../../gpu/kernel.ts';
import { readF32 } from '../../gpu/readback.ts';
import { rowStatistics } from '../../kernels/rowStatistics.ts';
import type { GpuContext } from '../../quantize/context.ts';
import { rowView, type LayerProblem } from '../layerScorer.ts';

/** The least that a row counts: what only a few rows decide would be fitted to them to the letter. */
const LEAST_WEIGHT = 0.02;

/** Rows that a Gram matrix needs for each of its columns: of fewer, what one calibration sees is fitted, not what others have in common. */
const ROWS_PER_COLUMN = 2;

/** How many rows of equal weight would tell as much: `(sum w)^2 / sum w^2`. */
export function effectiveRows(weights: Float32Array): number {
  let [sum, squares] = [0, 0];
  for (const weight of weights) {
    sum += weight;
    squares += weight * weight;
  }
  return squares > 0 ? sum ** 2 / squares : 0;
}

/**
 * Weights under which enough rows count for a Gram matrix of `columns` columns: the least weight is raised until they do. After the
 * last attention only class tokens have a gradient, one an image.
 *
 * @returns undefined when even all rows together are too few
 */
export function spreadWeights(weights: Float32Array, columns: number): Float32Array | undefined {
  const wanted = ROWS_PER_COLUMN * columns;
  if (weights.length < wanted) return undefined;
  let spread = weights;
  for (let least = 2 * LEAST_WEIGHT; effectiveRows(spread) < wanted; least *= 2) {
    spread = weights.map((weight) => Math.max(least, weight));
  }
  return spread;
}

/**
 * What each row of a linear layer counts in its error: the root mean square of the gradient of its output, in units of the mean over
 * all rows, and a little at least. The score weights rows by the square; that makes compensation fit the few rows of the largest
 * gradients of these images, the root carries over to others. Without a gradient every row counts 1.
 *
 * @returns f32, one for each row of every image in order
 */
export async function tokenWeights(
  { device, pool }: GpuContext,
  { geometry, chunks, metric }: Pick<LayerProblem, 'geometry' | 'chunks' | 'metric'>,
): Promise<Float32Array> {
  const { rows, columns, output } = geometry;
  if (metric !== 'hessian') return new Float32Array(rows * chunks.reduce((sum, { images }) => sum + images, 0)).fill(1);
  const roots: number[] = [];
  for (const { images, gradient } of chunks) {
    const scope = pool.scope();
    try {
      const statistics = scope.acquire(8 * images * rows, 'row statistics');
      const params = { images, heads: 1, rows, columns, view: rowView(output) };
      submit(device, [await rowStatistics(device, { source: gradient, statistics }, params)]);
      const values = await readF32(device, statistics, 2 * images * rows);
      for (let row = 0; row < images * rows; row++) roots.push(Math.sqrt(values[2 * row + 1] as number));
    } finally {
      scope.release();
    }
  }
  const mean = roots.reduce((total, root) => total + root, 0) / roots.length;
  return Float32Array.from(roots, (root) => (mean > 0 ? Math.max(LEAST_WEIGHT, root / mean) : 1));
}
