import type { BufferScope } from '../../gpu/buffers.ts';
import { submit } from '../../gpu/kernel.ts';
import type { GpuContext } from '../../quantize/context.ts';
import type { LeftQuantizer, RightQuantizer } from '../../quantize/floatQuantizer.ts';
import { runLayer, weightWords, type DeviceWeight } from '../../quantize/quantizedExecutor.ts';
import type { CapturedChunk, LayerProblem } from '../layerScorer.ts';

/** Weight codes of a linear layer with the quantizers of both operands, ready to multiply captured inputs. */
export interface ProductWeight {
  readonly a: LeftQuantizer;
  readonly b: RightQuantizer;
  readonly weight: DeviceWeight;
  readonly outFeatures: number;
}

/** Uploads the codes `[outFeatures, inFeatures]` of a weight, as the product with `a` reads them, and its bias. */
export function uploadWeight(
  codes: Int8Array,
  bias: Float32Array | null,
  { a, b }: Pick<ProductWeight, 'a' | 'b'>,
  outFeatures: number,
  scope: BufferScope,
): ProductWeight {
  const words = scope.upload(weightWords(codes, outFeatures, codes.length / outFeatures, { a, b }), 'weight codes');
  return { a, b, weight: { codes: words, bias: bias && scope.upload(bias, 'bias') }, outFeatures };
}

/** f32 `[images][rows][outFeatures]`: what inference computes from the captured input of a chunk; owned by `scope`. */
export async function layerProduct(
  { device }: GpuContext,
  { geometry }: Pick<LayerProblem, 'geometry'>,
  { a: input, images }: Pick<CapturedChunk, 'a' | 'images'>,
  { a, b, weight, outFeatures }: ProductWeight,
  scope: BufferScope,
): Promise<GPUBuffer> {
  const { rows } = geometry;
  const view = { offset: 0, imageStride: rows * outFeatures, headStride: 0, rowStride: outFeatures, columnStride: 1 };
  const output = scope.acquire(4 * images * rows * outFeatures, 'layer product');
  const layer = {
    recipe: { a, b },
    geometry: { ...geometry, columns: outFeatures, output: { ...view, tensor: 'product' } },
    weight,
  };
  const tensors = new Map([[geometry.a.tensor, input]]);
  submit(device, await runLayer(device, layer, tensors, images, output, () => input, scope));
  return output;
}
