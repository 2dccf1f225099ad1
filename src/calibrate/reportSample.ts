import type { BufferScope } from '../gpu/buffers.ts';
import { codeWords } from '../kernels/codes.ts';
import type { ProductGeometry } from '../quantize/geometry.ts';
import type { CapturedChunk } from './layerScorer.ts';

/** Rows of the output that a report looks at, over heads: as many whole images as fit, one at least. */
const REPORTED_ROWS = 1024;

/**
 * Copies some of the images of a layer, or windows of an attention product, into one chunk: evenly spread over all of them, whatever
 * the chunks.
 */
export function sampleImages(
  device: GPUDevice,
  chunks: readonly CapturedChunk[],
  { heads, rows, depth, a, b, output }: ProductGeometry,
  pixels: boolean,
  scope: BufferScope,
): CapturedChunk {
  const total = chunks.reduce((sum, { images }) => sum + images, 0);
  const count = Math.min(total, Math.max(1, Math.floor(REPORTED_ROWS / (heads * rows))));
  const chosen = Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * total) / count));
  const encoder = device.createCommandEncoder();
  const copied = (select: (chunk: CapturedChunk) => GPUBuffer, elements: number, label: string): GPUBuffer => {
    const target = scope.acquire(4 * count * elements, label);
    chosen.forEach((image, place) => {
      let [chunk, first] = [0, 0];
      while (image >= first + (chunks[chunk] as CapturedChunk).images) {
        first += (chunks[chunk] as CapturedChunk).images;
        chunk++;
      }
      const source = select(chunks[chunk] as CapturedChunk);
      encoder.copyBufferToBuffer(source, 4 * (image - first) * elements, target, 4 * place * elements, 4 * elements);
    });
    return target;
  };
  const chunk = {
    images: count,
    a: copied((each) => each.a, pixels ? rows * codeWords(depth) : a.imageStride, 'reported operand'),
    b: b && copied((each) => each.b as GPUBuffer, b.imageStride, 'reported right operand'),
    output: copied((each) => each.output, output.imageStride, 'reported output'),
    gradient: copied((each) => each.gradient, output.imageStride, 'reported gradient'),
  };
  device.queue.submit([encoder.finish()]);
  return chunk;
}
