import { submit } from '../../gpu/kernel.ts';
import { readF32 } from '../../gpu/readback.ts';
import { columnSumsF32 } from '../../kernels/columnSumsF32.ts';
import type { GpuContext } from '../../quantize/context.ts';

/**
 * Adds the sum of every column over the rows of all images of a chunk to `sums`. Rows of one image are summed in f32 in index order,
 * images in double: the result does not depend on how images are cut into chunks.
 *
 * @param source f32 `[images][rows][columns]`
 * @param rowWeights f32 `[images][rows]`: what each row counts
 * @param sums f64 `[columns]`
 * @param sign 1 to add, -1 to subtract
 */
export async function addColumnSums(
  { device, pool }: GpuContext,
  source: GPUBuffer,
  { images, rows, columns }: { readonly images: number; readonly rows: number; readonly columns: number },
  rowWeights: Float32Array,
  sums: Float64Array,
  sign: 1 | -1,
): Promise<void> {
  const scope = pool.scope();
  try {
    const weights = scope.upload(rowWeights, 'row weights');
    const perImage = scope.acquire(4 * images * columns, 'column sums');
    const buffers = { source, weights, sums: perImage };
    submit(device, [await columnSumsF32(device, buffers, { images, rows, columns })]);
    const values = await readF32(device, perImage, images * columns);
    for (let i = 0; i < values.length; i++) {
      const column = i % columns;
      sums[column] = (sums[column] as number) + sign * (values[i] as number);
    }
  } finally {
    scope.release();
  }
}
