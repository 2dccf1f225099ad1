import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { concatenate } from '../model/concatenate.ts';
import { ParameterStore, type ExecutionContext } from '../model/execute.ts';
import { isSearched, type SearchedOperation, type Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { productGeometry } from '../quantize/geometry.ts';
import type { UnitCapture } from './captureUnit.ts';
import { fisherSeed } from './gradientSeed.ts';
import { chunksOf, imagesPerChunk, type CalibrationImage } from './imageChunks.ts';
import { layerPlan, prepareLayer } from './layerPlan.ts';
import { searchLayer } from './layerSearch.ts';
import { layerOptions, type CalibrationOptions, type LayerOptions } from './options.ts';
import { WorkMeter, type Control } from './progress.ts';
import { forwardUnits, visitUnit } from './sweep.ts';

/** Widths that a weight may have. */
export const WIDTHS = [2, 3, 4, 5, 6, 7, 8] as const;

/** What a layer loses at each width of its weight, the rest of the network being float. */
export interface LayerSensitivity {
  readonly name: string;
  /** Weight parameters; 0 for products of two activations, which have one entry of `damage`, at the width asked for. */
  readonly parameters: number;
  /**
   * Expected KL divergence of the logits in nats an image, by the Fisher estimate of its second order: `sum g^2 (y - yhat)^2 / 2`
   * over the layer's outputs (METHOD: mixed precision), for each of `WIDTHS`.
   */
  readonly damage: readonly number[];
}

/** A search that ranks widths needs no fine scales. */
const RANKING: Partial<LayerOptions> = {
  metric: 'hessian',
  calibrator: 'search',
  search: 'coarse-to-fine',
  candidates: 16,
  rounds: 1,
  outerWeightBits: 'same',
};

/** Measures every layer at every width in one forward and one backward pass over the images. */
export async function measureSensitivity(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  options: CalibrationOptions,
  control: Control = {},
): Promise<LayerSensitivity[]> {
  if (images.length === 0) throw new RangeError('a sensitivity needs at least one image, got 0');
  using pool = new BufferPool(gpu.device);
  using parameters = new ParameterStore(pool, model);
  const context: ExecutionContext = { device: gpu.device, pool, parameters };
  const { units, numClasses } = model.network;
  const chunks = chunksOf(images, imagesPerChunk(model, images.length));
  const walk = { context, model, chunks };
  const operations = units.flatMap(({ operations: all }) => all.filter(isSearched));
  const meter = new WorkMeter(control, units.length + operations.length);
  const inputs = await forwardUnits(walk, (_unit, _tensors, { images: count }) => {
    meter.advance('sensitivity: forward', count / images.length);
    return Promise.resolve();
  });
  const logits = inputs.pop() as Float32Array[];
  const { seed } = options;
  let gradients: readonly Float32Array[] | undefined = chunks.map((chunk, c) =>
    concatenate(
      chunk.map(({ sha256: imageSha256 }, i) =>
        fisherSeed((logits[c] as Float32Array).subarray(i * numClasses, (i + 1) * numClasses), { seed, imageSha256 }),
      ),
    ),
  );
  const found: LayerSensitivity[] = [];
  for (const unit of [...units].reverse()) {
    gradients = await visitUnit(walk, unit, inputs.pop() as Float32Array[], gradients, noWork, async (captures) => {
      for (const operation of unit.operations.filter(isSearched)) {
        const own = { ...layerOptions(options, operation.name), ...RANKING };
        found.push(await measureLayer(context, model, unit, operation, captures, own));
        meter.advance(`sensitivity: ${unit.name}`, 1);
      }
      gpu.check();
    });
  }
  const order = new Map(operations.map(({ name }, i) => [name, i]));
  return found.sort((a, b) => (order.get(a.name) as number) - (order.get(b.name) as number));
}

function noWork(): void {
  // the layers of the unit count, not its capture
}

async function measureLayer(
  context: ExecutionContext,
  model: Model,
  unit: Unit,
  operation: SearchedOperation,
  captures: readonly UnitCapture[],
  options: LayerOptions,
): Promise<LayerSensitivity> {
  const { name } = operation;
  const geometry = productGeometry(operation, unit);
  const chunks = captures.map(({ layers }) => layers.get(name)).filter((chunk) => chunk !== undefined);
  const widths = operation.kind === 'linear' ? WIDTHS : [options.weightBits];
  const damage: number[] = [];
  const scope = context.pool.scope();
  try {
    const first = layerPlan(operation, options);
    const { problem, ranges } = await prepareLayer(context, model, operation, geometry, chunks, first, options, scope);
    const halfElements = (geometry.heads * geometry.rows * geometry.columns) / 2;
    for (const weightBits of widths) {
      const at = { ...options, weightBits };
      const { score } = await searchLayer(context, problem, layerPlan(operation, at), ranges, at, scope, noWork);
      damage.push(score * ranges.gradientRms ** 2 * halfElements);
    }
  } finally {
    scope.release();
    context.pool.trim();
  }
  return { name, parameters: operation.kind === 'linear' ? operation.inFeatures * operation.outFeatures : 0, damage };
}
