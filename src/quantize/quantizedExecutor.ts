import type { BufferScope } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { matmulCodes } from '../kernels/matmulCodes.ts';
import { packDepthMajor } from '../kernels/pack.ts';
import type { SearchedExecutor } from '../model/execute.ts';
import type { Unit } from '../model/graph.ts';
import { encodeLeft, encodeRight } from './encode.ts';
import { productGeometry, type ProductGeometry } from './geometry.ts';
import { productShape } from './productShape.ts';
import { isIntegerProduct, type LeftQuantizer, type RightQuantizer } from './floatQuantizer.ts';
import { productScales } from './scales.ts';

/** A quantized weight on the device. */
export interface DeviceWeight {
  /** u32 `[repeat][words][outFeatures]`, depth-major, or values of codes where the product has no integers: `weightWords`. */
  readonly codes: GPUBuffer;
  /** f32 `[outFeatures]` */
  readonly bias: GPUBuffer | null;
}

/** The two quantizers of a product. */
interface Operands {
  readonly a: LeftQuantizer;
  readonly b: RightQuantizer;
}

/** Codes `[outFeatures][inFeatures]` of a weight, packed as often as its product with `a` reads them, or their values in f32. */
export function weightWords(
  codes: Int8Array,
  outFeatures: number,
  inFeatures: number,
  operands: Operands,
): Uint8Array | Float32Array {
  if (!isIntegerProduct(operands)) return weightValues(codes, outFeatures, operands.b);
  const { a } = operands;
  const once = packDepthMajor(codes, outFeatures, inFeatures);
  const packed = new Uint8Array(productShape(inFeatures, a).repeat * once.length);
  for (let start = 0; start < packed.length; start += once.length) packed.set(once, start);
  return packed;
}

/** Values of the codes `[outFeatures][inFeatures]` of a weight, f32. */
function weightValues(codes: Int8Array, outFeatures: number, b: RightQuantizer): Float32Array {
  const inFeatures = codes.length / outFeatures;
  const [rowBlocks, columnBlocks] = b.type === 'block' ? [b.rowBlocks, b.columnBlocks] : [b.scales.length, 1];
  return Float32Array.from(codes, (code, i) => {
    const row = Math.floor((Math.floor(i / inFeatures) * rowBlocks) / outFeatures);
    const column = Math.floor(((i % inFeatures) * columnBlocks) / inFeatures);
    return code * (b.scales[row * columnBlocks + column] as number);
  });
}

/** A layer ready to run: its quantizers, where its operands lie, its weight. */
export interface QuantizedLayer {
  readonly recipe: Operands;
  readonly geometry: ProductGeometry;
  readonly weight: DeviceWeight | undefined;
}

/**
 * Runs searched layers as the search scored them: operands to codes, the exact integer product, one multiplication by the
 * product scale. Everything between them stays float.
 */
export function quantizedExecutor(
  device: GPUDevice,
  layers: ReadonlyMap<string, QuantizedLayer>,
  pixelCodes: () => GPUBuffer,
): SearchedExecutor {
  return async (operation, tensors, images, output, scope) => {
    const layer = layers.get(operation.name);
    if (!layer) throw new Error(`the recipe has no layer ${operation.name}`);
    return runLayer(device, layer, tensors, images, output, pixelCodes, scope);
  };
}

/** Work of one layer: the codes of its operands that are not codes yet, then the product into `output`. */
export async function runLayer(
  device: GPUDevice,
  { recipe, geometry, weight }: QuantizedLayer,
  tensors: ReadonlyMap<string, GPUBuffer>,
  images: number,
  output: GPUBuffer,
  pixelCodes: () => GPUBuffer,
  scope: BufferScope,
): Promise<Dispatch[]> {
  const { heads, rows, depth, columns } = geometry;
  const windows = images * geometry.windows;
  const source = recipe.a.type === 'pixels' ? pixelCodes() : (tensors.get(geometry.a.tensor) as GPUBuffer);
  if (!isIntegerProduct(recipe)) {
    const operands = { a: source, b: geometry.b && tensors.get(geometry.b.tensor) };
    const { runFloatLayer } = await import('./floatProduct.ts');
    return runFloatLayer(device, { recipe, geometry, weight }, operands, windows, output, scope);
  }
  const { a, b } = recipe;
  const shape = productShape(depth, a);
  const left = await encodeLeft(device, source, geometry.a, { images: windows, heads, rows, depth }, [a], scope);
  const right = geometry.b
    ? await encodeRight(
        device,
        tensors.get(geometry.b.tensor) as GPUBuffer,
        geometry.b,
        { images: windows, heads, depth, columns },
        [b],
        scope,
        shape.repeat,
      )
    : { codes: (weight as DeviceWeight).codes, dispatches: [] };
  const scales = productScales(geometry, a, b);
  const { offset, imageStride, headStride, rowStride } = geometry.output;
  const product = await matmulCodes(
    device,
    {
      a: left.codes,
      b: right.codes,
      scales: scope.upload(scales.values, 'product scales'),
      bias: weight?.bias ?? null,
      y: output,
    },
    {
      images: windows,
      heads,
      rows,
      depth: shape.depth,
      columns,
      aKind: shape.kind,
      aBits: shape.bits,
      aReach: shape.reach,
      shift: shape.shift,
      bBits: b.bits,
      bBatchStride: geometry.b ? shape.words * columns : 0,
      scaleHeadStride: scales.headStride,
      scaleColumnStride: scales.columnStride,
      output: { offset, imageStride, headStride, rowStride },
    },
  );
  return [...left.dispatches, ...right.dispatches, product];
}

/** Geometry of every searched operation of `units` by name. */
export function geometries(units: readonly Unit[]): Map<string, ProductGeometry> {
  const found = new Map<string, ProductGeometry>();
  for (const unit of units) {
    for (const operation of unit.operations) {
      if (operation.kind === 'linear' || operation.kind === 'matmul') {
        found.set(operation.name, productGeometry(operation, unit));
      }
    }
  }
  return found;
}
