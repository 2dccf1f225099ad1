import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { concatenate } from '../model/concatenate.ts';
import { ParameterStore, type ExecutionContext } from '../model/execute.ts';
import { isSearched, type SearchedOperation, type Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { productGeometry } from '../quantize/geometry.ts';
import type { UnitCapture } from './captureUnit.ts';
import { checkMeasurable } from './checkOptions.ts';
import { fisherSeed } from './gradientSeed.ts';
import { chunksOf, imagesPerChunk, type CalibrationImage } from './imageChunks.ts';
import { layerPlan, prepareLayer } from './layerPlan.ts';
import { searchLayer } from './layerSearch.ts';
import { layerOptions, type CalibrationOptions, type LayerOptions, type LayerOverrides } from './options.ts';
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

/** Quantizers between which a budget of time chooses. */
export const TIMED_FAMILIES = ['twin', 'adaptive-log'] as const;

/** What a layer that reads probabilities or GELU outputs loses with each of `TIMED_FAMILIES`, the rest of the network being float. */
export interface FamilySensitivity {
  readonly name: string;
  /** Option that names the quantizer. */
  readonly operand: ShapedOperand;
  /** In the unit of `LayerSensitivity`, at the widths asked for. */
  readonly damage: readonly number[];
}

/**
 * Measures every layer at every width in one forward and one backward pass over the images.
 *
 * @throws OptionsError naming a layer whose codes would have no product of integers
 */
export async function measureSensitivity(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  options: CalibrationOptions,
  control: Control = {},
): Promise<LayerSensitivity[]> {
  const widths = WIDTHS.map((weightBits) => ({ weightBits }));
  const measured = await measureDamage(gpu, model, images, options, control, ({ kind }) =>
    kind === 'linear' ? widths : [{}],
  );
  return measured.map(({ operation, damage }) => ({
    name: operation.name,
    parameters: operation.kind === 'linear' ? operation.inFeatures * operation.outFeatures : 0,
    damage,
  }));
}

/** Measures every layer whose left operand is probabilities or GELU outputs, with each of `TIMED_FAMILIES`, in one such pass. */
export async function measureFamilies(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  options: CalibrationOptions,
  control: Control = {},
): Promise<FamilySensitivity[]> {
  const measured = await measureDamage(gpu, model, images, options, control, (operation) => {
    const operand = shapedOperand(operation);
    return operand ? TIMED_FAMILIES.map((family) => ({ [operand]: family })) : [];
  });
  return measured.flatMap(({ operation, damage }) => {
    const operand = shapedOperand(operation);
    return operand ? [{ name: operation.name, operand, damage }] : [];
  });
}

export type ShapedOperand = 'softmax' | 'gelu';

/** The option that names the quantizer of a layer's left operand, where there is one. */
export function shapedOperand({ operand }: SearchedOperation): ShapedOperand | undefined {
  return operand === 'post-softmax' ? 'softmax' : operand === 'post-gelu' ? 'gelu' : undefined;
}

interface MeasuredOperation {
  readonly operation: SearchedOperation;
  readonly damage: readonly number[];
}

/** The damage of every layer under each of its `variants`, in the order of the network. */
async function measureDamage(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  options: CalibrationOptions,
  control: Control,
  variantsOf: (operation: SearchedOperation) => readonly LayerOverrides[],
): Promise<MeasuredOperation[]> {
  if (images.length === 0) throw new RangeError('a sensitivity needs at least one image, got 0');
  checkMeasurable(model.network, options);
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
  const found = new Map<SearchedOperation, readonly number[]>();
  for (const unit of [...units].reverse()) {
    gradients = await visitUnit(walk, unit, inputs.pop() as Float32Array[], gradients, noWork, async (captures) => {
      for (const operation of unit.operations.filter(isSearched)) {
        const own = { ...layerOptions(options, operation.name), ...RANKING };
        const variants = variantsOf(operation);
        if (variants.length > 0) {
          found.set(operation, await measureLayer(context, model, unit, operation, captures, own, variants));
        }
        meter.advance(`sensitivity: ${unit.name}`, 1);
      }
      gpu.check();
    });
  }
  return operations.map((operation) => ({ operation, damage: found.get(operation) ?? [] }));
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
  variants: readonly LayerOverrides[],
): Promise<readonly number[]> {
  const { name } = operation;
  const geometry = productGeometry(operation, unit);
  const chunks = captures.map(({ layers }) => layers.get(name)).filter((chunk) => chunk !== undefined);
  const damage: number[] = [];
  const scope = context.pool.scope();
  try {
    const first = layerPlan(operation, options);
    const { problem, ranges } = await prepareLayer(context, model, operation, geometry, chunks, first, options, scope);
    const { windows, heads, rows, columns } = geometry;
    const halfElements = (windows * heads * rows * columns) / 2;
    for (const variant of variants) {
      const at = { ...options, ...variant };
      const { score } = await searchLayer(context, problem, layerPlan(operation, at), ranges, at, scope, noWork);
      damage.push(score * ranges.gradientRms ** 2 * halfElements);
    }
  } finally {
    scope.release();
    context.pool.trim();
  }
  return damage;
}
