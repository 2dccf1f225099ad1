import { submit } from '../../gpu/kernel.ts';
import { readF32 } from '../../gpu/readback.ts';
import { rangeStatistics } from '../../kernels/rangeStatistics.ts';
import type { GpuContext } from '../../quantize/context.ts';
import type { LayerProblem } from '../layerScorer.ts';

/**
 * What each row of a linear layer counts in its error: the mean square of the gradient of its output, in units of the mean over all
 * rows, and at least `floor`. With `(g (y - y^))^2` as the score, the Gram matrix of rows weighted so is the quadratic form of the
 * whole layer's score but for what differs between columns.
 *
 * @returns f32, one for each row of every image in order
 */
export async function tokenWeights(
  { device, pool }: GpuContext,
  { geometry, chunks }: Pick<LayerProblem, 'geometry' | 'chunks'>,
  floor = 0,
): Promise<Float32Array> {
  const { rows, columns, output } = geometry;
  const squares: number[] = [];
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
      for (let row = 0; row < images * rows; row++) squares.push(values[4 * row + 3] as number);
    } finally {
      scope.release();
    }
  }
  const mean = squares.reduce((total, square) => total + square, 0) / squares.length;
  return Float32Array.from(squares, (square) => (mean > 0 ? Math.max(floor, square / mean) : 1));
}
