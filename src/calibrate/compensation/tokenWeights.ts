import { submit } from '../../gpu/kernel.ts';
import { readF32 } from '../../gpu/readback.ts';
import { rangeStatistics } from '../../kernels/rangeStatistics.ts';
import type { GpuContext } from '../../quantize/context.ts';
import type { LayerProblem } from '../layerScorer.ts';

/** The least that a row counts: what only a few rows decide would be fitted to them to the letter. */
const LEAST_WEIGHT = 0.02;

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
      const statistics = scope.acquire(16 * images * rows, 'row statistics');
      // Each row is a matrix of its own: what the kernel takes for heads are the rows.
      const view = {
        offset: output.offset,
        imageStride: output.imageStride,
        headStride: output.rowStride,
        rowStride: 0,
      };
      const params = { images, heads: rows, rows: 1, columns, view };
      submit(device, [await rangeStatistics(device, { source: gradient, statistics }, params)]);
      const values = await readF32(device, statistics, 4 * images * rows);
      for (let row = 0; row < images * rows; row++) roots.push(Math.sqrt(values[4 * row + 3] as number));
    } finally {
      scope.release();
    }
  }
  const mean = roots.reduce((total, root) => total + root, 0) / roots.length;
  return Float32Array.from(roots, (root) => (mean > 0 ? Math.max(LEAST_WEIGHT, root / mean) : 1));
}
