import { submit } from '../gpu/kernel.ts';
import { readBytes, readF32 } from '../gpu/readback.ts';
import { codeWords } from '../kernels/codes.ts';
import type { ExecutionContext } from '../model/execute.ts';
import type { SearchedOperation, Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { productGeometry, type StridedMatrix } from '../quantize/geometry.ts';
import { layerWeight } from '../quantize/layerWeight.ts';
import { runLayer, weightWords } from '../quantize/quantizedExecutor.ts';
import type { UnitCapture } from './captureUnit.ts';
import { weightMatrix, type CapturedChunk } from './layerScorer.ts';
import { layerCurves, type ReportCurve } from './layerReportCurves.ts';
import { operandReport, type OperandReport } from './operandReport.ts';
import type { QuantizedLayer } from './quantizeLayer.ts';
import { sampleImages } from './reportSample.ts';

/** What is shown of a layer when it is finished; plain JSON-able data. Its quantizers are in the layer of the same name of the recipe. */
export interface LayerReport {
  /** Canonical name. */
  readonly name: string;
  /** `blocks.3`. */
  readonly unit: string;
  readonly kind: 'linear' | 'matmul';
  /** What the left operand is. */
  readonly operand: 'plain' | 'post-softmax' | 'post-gelu' | 'pixels';
  /** Activations. */
  readonly a: OperandReport;
  /** The weight, or the second activation. */
  readonly b: OperandReport;
  /** Of the layer's output under its quantizers and its final weight codes against float; 200 at most, where there is no error. */
  readonly sqnrDb: number;
  /** Cosine similarity of the same two outputs as one vector each; 1 where both are zero. */
  readonly cosine: number;
  /** None for pixels, and none where the codes have no integer product. */
  readonly curves: readonly ReportCurve[];
  /** Rows of the output that the figures are of, over heads and windows: of some of the images, evenly spread. */
  readonly rows: number;
  /** Of the search; 0 where it was taken from a checkpoint. */
  readonly milliseconds: number;
}

/** The most that a report states, where f32 shows no error. */
const HIGHEST_SQNR_DB = 200;

/** Measures a quantized layer on some of its captured images; it changes nothing of the result. */
export async function reportLayer(
  context: ExecutionContext,
  model: Model,
  unit: Unit,
  operation: SearchedOperation,
  captures: readonly UnitCapture[],
  { layer, weight }: QuantizedLayer,
  milliseconds: number,
): Promise<LayerReport> {
  const { device, pool } = context;
  const geometry = { ...productGeometry(operation, unit), windows: 1 };
  const { heads, rows, depth, columns } = geometry;
  const pixels = operation.kind === 'linear' && operation.operand === 'pixels';
  const all = captures.map(({ layers }) => layers.get(operation.name)).filter((chunk) => chunk !== undefined);
  const scope = pool.scope();
  try {
    const chunk = sampleImages(device, all, geometry, pixels, scope);
    const { images } = chunk;
    const source = operation.kind === 'linear' ? layerWeight(model, operation) : undefined;
    const problem = {
      ...{ name: operation.name, geometry, chunks: [chunk], packedOperand: pixels, metric: 'mse' as const },
      weight: source && scope.upload(source.weight, `${operation.name} weight`),
      bias: source?.bias ? scope.upload(source.bias, `${operation.name} bias`) : null,
    };
    const a = pixels
      ? unpack(await readBytes(device, chunk.a, 4 * images * rows * codeWords(depth)), depth)
      : await readF32(device, chunk.a, images * geometry.a.imageStride);
    const shape = { images, heads, rows, columns: depth };
    const isWeight = geometry.b === undefined;
    const rightShape = { images: isWeight ? 1 : images, heads, rows: depth, columns, isWeight };
    const right = (imageStride: number) => readF32(device, chunk.b as GPUBuffer, images * imageStride);
    const b = source?.weight ?? (await right((geometry.b as StridedMatrix).imageStride));
    const words = weight && weightWords(weight.codes, ...weight.shape, layer);
    const run = {
      recipe: layer,
      geometry,
      weight: words && {
        codes: scope.upload(words, `${operation.name} codes`),
        bias: weight?.bias ? scope.upload(weight.bias, `${operation.name} bias`) : null,
      },
    };
    const count = images * geometry.output.imageStride;
    const output = scope.acquire(4 * count, `${operation.name} quantized`);
    const tensors = new Map([[geometry.a.tensor, chunk.a]]);
    if (geometry.b) tensors.set(geometry.b.tensor, chunk.b as GPUBuffer);
    submit(device, await runLayer(device, run, tensors, images, output, () => chunk.a, scope));
    const float = await readF32(device, chunk.output, count);
    const quantized = await readF32(device, output, count);
    return {
      name: operation.name,
      unit: unit.name,
      kind: operation.kind,
      operand: operation.operand,
      a: operandReport(a, shape, pixels ? rowMajor(rows, depth) : geometry.a, layer.a),
      b: operandReport(b, rightShape, geometry.b ?? weightMatrix(depth), layer.b),
      ...nearness(float, quantized),
      curves: await layerCurves(context, problem, layer, holdsGradient(all)),
      rows: images * heads * rows,
      milliseconds,
    };
  } finally {
    scope.release();
    pool.trim();
  }
}

/** Signal over noise in decibels, and the cosine similarity, in double. */
export function nearness(float: Float32Array, quantized: Float32Array): { sqnrDb: number; cosine: number } {
  let [signal, other, product, noise] = [0, 0, 0, 0];
  float.forEach((x, i) => {
    const y = quantized[i] as number;
    signal += x * x;
    other += y * y;
    product += x * y;
    noise += (x - y) ** 2;
  });
  const decibels = noise === 0 ? HIGHEST_SQNR_DB : signal === 0 ? -HIGHEST_SQNR_DB : 10 * Math.log10(signal / noise);
  const cosine = signal === 0 && other === 0 ? 1 : product / Math.sqrt(signal * other || 1);
  return { sqnrDb: Math.max(-HIGHEST_SQNR_DB, Math.min(HIGHEST_SQNR_DB, decibels)), cosine };
}

/** Without a gradient its place is taken by the output. */
function holdsGradient(chunks: readonly CapturedChunk[]): boolean {
  return chunks.every(({ gradient, output }) => gradient !== output);
}

/** Codes of rows that are padded to words. */
function unpack(bytes: ArrayBuffer, depth: number): Float32Array {
  const codes = new Int8Array(bytes);
  const stride = 4 * codeWords(depth);
  const values = new Float32Array((codes.length / stride) * depth);
  for (let row = 0; row * stride < codes.length; row++) {
    values.set(codes.subarray(row * stride, row * stride + depth), row * depth);
  }
  return values;
}

function rowMajor(rows: number, depth: number): StridedMatrix {
  const strides = { imageStride: rows * depth, headStride: 0, rowStride: depth, columnStride: 1 };
  return { tensor: 'pixels', offset: 0, ...strides };
}
