import type { BufferScope } from '../../gpu/buffers.ts';
import { submit } from '../../gpu/kernel.ts';
import { dequantize } from '../../kernels/dequantize.ts';
import { encodeLeft } from '../../quantize/encode.ts';
import type { GpuContext } from '../../quantize/context.ts';
import type { LeftQuantizer } from '../../quantize/floatQuantizer.ts';
import type { UniformQuantizer } from '../../quantize/quantizer.ts';
import type { CapturedChunk, LayerProblem } from '../layerScorer.ts';
import { layerProduct, uploadWeight } from './layerProduct.ts';

/** f32 `[images][rows][depth]`: the captured inputs of a chunk as inference sees them; owned by `scope`. */
export type QuantizedInputs = (chunk: CapturedChunk, scope: BufferScope) => Promise<GPUBuffer>;

/** How the inputs of a layer are quantized and dequantized; what all chunks share belongs to `whole`. */
export function quantizedInputs(
  context: GpuContext,
  problem: Pick<LayerProblem, 'geometry' | 'chunks'>,
  a: LeftQuantizer,
  whole: BufferScope,
): QuantizedInputs {
  const { depth } = problem.geometry;
  if (a.type === 'uniform' && a.zeroPoint === undefined && a.scales.length === 1) {
    return (chunk, scope) => dequantized(context, problem, chunk, a, scope);
  }
  // The product with the identity: whatever a quantizer can do, its dequantization is thus that of inference.
  const codes = new Int8Array(depth * depth);
  for (let k = 0; k < depth; k++) codes[k * depth + k] = 1;
  const b: UniformQuantizer = { type: 'uniform', bits: 2, granularity: 'tensor', scales: [1] };
  const identity = uploadWeight(codes, null, { a, b }, depth, whole);
  return (chunk, scope) => layerProduct(context, problem, chunk, identity, scope);
}

/** The same values as the product with the identity, at the cost of reading them. */
async function dequantized(
  { device }: GpuContext,
  { geometry }: Pick<LayerProblem, 'geometry'>,
  { a: input, images }: CapturedChunk,
  quantizer: UniformQuantizer,
  scope: BufferScope,
): Promise<GPUBuffer> {
  const { rows, depth } = geometry;
  const values = scope.acquire(4 * images * rows * depth, 'quantized inputs');
  const shape = { images, heads: 1, rows, depth };
  const { codes, dispatches } = await encodeLeft(device, input, geometry.a, shape, [quantizer], scope);
  const buffers = { source: codes, scales: scope.upload(Float32Array.from(quantizer.scales), 'scale'), y: values };
  const dispatch = await dequantize(device, buffers, { bits: 8, rows: images * rows, columns: depth });
  submit(device, [...dispatches, dispatch]);
  return values;
}
