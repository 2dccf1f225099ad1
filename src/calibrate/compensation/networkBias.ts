import type { BufferScope } from '../../gpu/buffers.ts';
import { submit } from '../../gpu/kernel.ts';
import { readF32 } from '../../gpu/readback.ts';
import {
  forwardOperation,
  forwardUnit,
  type ExecutionContext,
  type SearchedExecutor,
  type Tensors,
} from '../../model/execute.ts';
import type { LinearOperation, Unit } from '../../model/graph.ts';
import type { Model } from '../../model/load.ts';
import { productGeometry, type ProductGeometry } from '../../quantize/geometry.ts';
import { geometries, runLayer } from '../../quantize/quantizedExecutor.ts';
import { chunkPatches, chunkPixelCodes, type ImageChunk } from '../imageChunks.ts';
import type { QuantizedWeight } from '../quantizeWeights.ts';
import type { LayerRecipe } from '../recipe.ts';
import { correctedBias } from './biasCorrection.ts';
import { addColumnSums } from './columnSums.ts';
import { uploadWeight } from './layerProduct.ts';
import { liveRows, type LiveRows } from './liveRows.ts';

/** A network with its quantizers and weight codes, and the images that its biases are corrected on. */
export interface QuantizedNetwork {
  readonly model: Model;
  readonly layers: readonly LayerRecipe[];
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  readonly chunks: readonly ImageChunk[];
}

interface Walk extends QuantizedNetwork {
  readonly context: ExecutionContext;
  readonly live: ReadonlyMap<string, LiveRows>;
  readonly images: number;
}

/** A unit's tensors of one chunk on the device. */
interface ChunkTensors {
  readonly images: number;
  readonly tensors: Tensors;
  /** Codes of the pixels, in the first unit. */
  readonly pixelCodes: GPUBuffer | undefined;
}

/**
 * Corrects the biases of a quantized network layer by layer, in the order of its forward pass: at each linear layer the mean output
 * of the float network less that of the quantized network, whose layers before it are quantized and corrected already, is added to the
 * bias (sequential bias correction; Nagel et al. 2019, section 4.2). Means are over the rows that the logits depend on. A layer without
 * a bias gets one. Device memory holds the tensors of one unit for all images; results do not depend on the chunks.
 *
 * @param onUnit called after each unit; may throw to stop
 * @returns the bias of every linear layer by name, f32 `[outFeatures]`
 */
export async function correctNetworkBiases(
  context: ExecutionContext,
  network: QuantizedNetwork,
  onUnit: (unit: string) => void = () => undefined,
): Promise<Map<string, Float32Array>> {
  const { model, chunks } = network;
  const images = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const walk: Walk = { ...network, context, live: liveRows(model.network), images };
  const biases = new Map<string, Float32Array>();
  let float = chunks.map((chunk) => chunkPatches(chunk, model));
  let quantized = float;
  for (const unit of model.network.units) {
    const sums = new Map<string, Float64Array>();
    float = await floatUnit(walk, unit, float, sums);
    context.parameters.release(unit);
    quantized = await quantizedUnit(walk, unit, quantized, sums, biases);
    context.parameters.release(unit);
    onUnit(unit.name);
  }
  return biases;
}

/** Float outputs of a unit, f32 by chunk; puts the column sums of its linear layers into `sums`. */
async function floatUnit(
  { context, chunks, live }: Walk,
  unit: Unit,
  inputs: readonly Float32Array[],
  sums: Map<string, Float64Array>,
): Promise<Float32Array[]> {
  const outputs: Float32Array[] = [];
  for (const [c, { length: images }] of chunks.entries()) {
    const scope = context.pool.scope();
    try {
      const input = scope.upload(inputs[c] as Float32Array, `${unit.name} input`);
      const tensors = await forwardUnit(context, unit, input, images, scope);
      for (const operation of unit.operations) {
        if (operation.kind !== 'linear') continue;
        const total = sums.get(operation.name) ?? new Float64Array(operation.outFeatures);
        sums.set(operation.name, total);
        await addOutput(context, live, operation, tensors.get(operation.output) as GPUBuffer, images, total, 1);
      }
      outputs.push(await readUnit(context, unit, tensors, images));
    } finally {
      scope.release();
    }
  }
  return outputs;
}

/** Quantized outputs of a unit, f32 by chunk; adds its corrected biases to `biases`. */
async function quantizedUnit(
  walk: Walk,
  unit: Unit,
  inputs: readonly Float32Array[],
  sums: ReadonlyMap<string, Float64Array>,
  biases: Map<string, Float32Array>,
): Promise<Float32Array[]> {
  const { context, model, layers } = walk;
  const { device, pool } = context;
  const isFirst = unit === model.network.units[0];
  const recipes = new Map(layers.map((layer) => [layer.name, layer]));
  const places = geometries([unit]);
  const executor: SearchedExecutor = ({ name }, tensors, images, output, work) => {
    const layer = {
      recipe: recipes.get(name) as LayerRecipe,
      geometry: places.get(name) as ProductGeometry,
      weight: undefined,
    };
    return runLayer(device, layer, tensors, images, output, noPixels, work);
  };
  const scope = pool.scope();
  try {
    const states = walk.chunks.map<ChunkTensors>((chunk, c) => ({
      images: chunk.length,
      tensors: new Map([[unit.input, scope.upload(inputs[c] as Float32Array, `${unit.name} input`)]]),
      pixelCodes: isFirst ? scope.upload(chunkPixelCodes(chunk, model), 'pixel codes') : undefined,
    }));
    for (const operation of unit.operations) {
      if (operation.kind === 'linear') {
        const recipe = recipes.get(operation.name) as LayerRecipe;
        const error = sums.get(operation.name) as Float64Array;
        biases.set(operation.name, await correctLayer(walk, unit, operation, recipe, states, error, scope));
        continue;
      }
      for (const { images, tensors } of states) {
        const work = pool.scope();
        const output = await forwardOperation(context, unit, operation, tensors, images, work, executor);
        scope.adopt(output, work);
        work.release();
      }
    }
    const outputs: Float32Array[] = [];
    for (const { images, tensors } of states) outputs.push(await readUnit(context, unit, tensors, images));
    return outputs;
  } finally {
    scope.release();
  }
}

/** Runs a linear layer on all chunks, corrects its bias by what its mean output lacks, and runs it again. */
async function correctLayer(
  { context, weights, live, images: allImages }: Walk,
  unit: Unit,
  operation: LinearOperation,
  recipe: LayerRecipe,
  states: readonly ChunkTensors[],
  sums: Float64Array,
  scope: BufferScope,
): Promise<Float32Array> {
  const { device, pool } = context;
  const { name, rows, outFeatures } = operation;
  const { codes, bias } = weights.get(name) as QuantizedWeight;
  const geometry = productGeometry(operation, unit);
  const run = async (tried: Float32Array | null, measure: boolean) => {
    for (const { images, tensors, pixelCodes } of states) {
      const work = pool.scope();
      const output =
        tensors.get(operation.output) ?? scope.acquire(4 * images * rows * outFeatures, `${unit.name} ${name}`);
      tensors.set(operation.output, output);
      const { weight } = uploadWeight(codes, tried, recipe, outFeatures, work);
      const layer = { recipe, geometry, weight };
      submit(device, await runLayer(device, layer, tensors, images, output, () => pixelCodes as GPUBuffer, work));
      if (measure) await addOutput(context, live, operation, output, images, sums, -1);
      work.release();
    }
  };
  await run(bias, true);
  const rowsOfImage = live.get(name) as LiveRows;
  const count = allImages * (rowsOfImage === 'all' ? rows : rowsOfImage.size);
  const corrected = correctedBias(
    bias,
    sums.map((sum) => (count > 0 ? sum / count : 0)),
  );
  await run(corrected, false);
  return corrected;
}

/** Adds the column sums of a layer's output over its live rows. */
function addOutput(
  context: ExecutionContext,
  live: ReadonlyMap<string, LiveRows>,
  { name, rows, outFeatures }: LinearOperation,
  output: GPUBuffer,
  images: number,
  sums: Float64Array,
  sign: 1 | -1,
): Promise<void> {
  const rowsOfImage = live.get(name) as LiveRows;
  const weights = Float32Array.from({ length: images * rows }, (_, row) =>
    rowsOfImage === 'all' || rowsOfImage.has(row % rows) ? 1 : 0,
  );
  return addColumnSums(context, output, { images, rows, columns: outFeatures }, weights, sums, sign);
}

function readUnit({ device }: ExecutionContext, unit: Unit, tensors: Tensors, images: number): Promise<Float32Array> {
  const count = images * (unit.elements[unit.output] as number);
  return readF32(device, tensors.get(unit.output) as GPUBuffer, count);
}

function noPixels(): never {
  throw new Error('a product of activations reads no pixels');
}
