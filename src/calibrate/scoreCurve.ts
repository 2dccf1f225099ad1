import type { Gpu } from '../gpu/device.ts';
import { BufferPool, type BufferScope } from '../gpu/buffers.ts';
import { submit } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { concatenate } from '../model/concatenate.ts';
import { floatExecutor, forwardUnit, ParameterStore, type SearchedExecutor } from '../model/execute.ts';
import { isSearched, searchedLayers, type SearchedOperation, type Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { encodeRight } from '../quantize/encode.ts';
import { productGeometry } from '../quantize/geometry.ts';
import { productShape } from '../quantize/productShape.ts';
import { runLayer } from '../quantize/quantizedExecutor.ts';
import type { ActivationQuantizer, UniformQuantizer } from '../quantize/quantizer.ts';
import { CalibrationError } from './errors.ts';
import { chunksOf, imagesPerChunk, type CalibrationImage } from './imageChunks.ts';
import { layerPlan, prepareLayer } from './layerPlan.ts';
import {
  isRowMetric,
  scoreCandidates,
  weightMatrix,
  type CapturedChunk,
  type LayerProblem,
  type ScoreGroups,
} from './layerScorer.ts';
import {
  leftFamilies,
  rightOperand,
  softmaxShifts,
  twinSoftmax,
  type LayerPlan,
  type LayerRanges,
} from './operands.ts';
import { logitGradients } from './logitGradients.ts';
import { METRICS, type Metric } from './options.ts';
import { calibrationOptions } from './presets.ts';
import { WorkMeter, type Control } from './progress.ts';
import { forwardUnits, visitUnit, type Walk } from './sweep.ts';

export interface CurveInput {
  /** Name of a searched layer. */
  readonly layer: string;
  /** Which operand varies; the other one has 8 bits and the scale of its largest value. */
  readonly operand: 'a' | 'b';
  /** Width of the operand that varies. */
  readonly bits: number;
  /** Whether values after softmax and GELU have twin ranges, default true; else uniform codes. */
  readonly twin?: boolean;
  /** How many factors `1.2 i / candidates` of that scale are tried; twin ranges after softmax have one candidate a shift. */
  readonly candidates: number;
  /** Of the Fisher draws that the metric `hessian` propagates. */
  readonly seed: number;
}

/** Both quantizers of a layer: a point of a curve. */
export interface CurvePoint {
  /** Of the scale that holds the largest value; null where the candidate is a shift. */
  readonly factor: number | null;
  readonly a: ActivationQuantizer;
  readonly b: UniformQuantizer;
}

export interface ScoreCurve {
  /** f32 scales of the operand at factor 1, one a group; none where candidates are shifts. */
  readonly scales: readonly number[];
  readonly points: readonly CurvePoint[];
  /** A value a point: the mean over elements, or rows for `cosine` and `pearson`; lower is better. */
  readonly scores: Readonly<Record<Metric, readonly number[]>>;
  /** f32 `[images][numClasses]` of the network with this layer alone quantized, one a point. */
  readonly logits: readonly Float32Array[];
  /** f32 `[images][numClasses]` */
  readonly floatLogits: Float32Array;
}

const LARGEST_FACTOR = 1.2;

/** Names of the layers that a curve can be asked for. */
export function curveLayers({ network }: Model): string[] {
  return searchedLayers(network).map(({ name }) => name);
}

/** The operands of a layer that a curve can be asked for: pixels are exact. None of a layer that the model lacks. */
export function curveOperands({ network }: Model, layer: string): readonly ('a' | 'b')[] {
  const found = searchedLayers(network).find(({ name }) => name === layer);
  if (!found) return [];
  return found.operand === 'pixels' ? ['b'] : ['a', 'b'];
}

/**
 * What every metric says of the candidates of one operand of one layer, and what they do to the logits: the rest of the network runs
 * again in float for each (PTQ4ViT, figure 5).
 *
 * @throws CalibrationError for a layer that the model lacks, for pixels, which are exact, and for a gradient that is zero everywhere
 */
export async function scoreCurve(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  input: CurveInput,
  control: Control = {},
): Promise<ScoreCurve> {
  const { units } = model.network;
  const at = units.findIndex(({ operations }) => operations.some((operation) => isLayer(operation, input.layer)));
  const operation = units[at]?.operations.find((candidate) => isLayer(candidate, input.layer));
  if (!operation || !isSearched(operation)) throw new CalibrationError(`the model has no layer ${input.layer}`);
  if (input.operand === 'a' && operation.operand === 'pixels') {
    throw new CalibrationError(`${input.layer}: its operand a is pixels, which are exact; take operand b`);
  }
  using pool = new BufferPool(gpu.device);
  using parameters = new ParameterStore(pool, model);
  const context = { device: gpu.device, pool, parameters };
  const walk: Walk = { context, model, chunks: chunksOf(images, imagesPerChunk(model, images.length)) };
  const meter = new WorkMeter(control, units.length + (units.length - at) * (1 + input.candidates));
  const inputs = await forwardUnits(walk, () => Promise.resolve());
  meter.advance('forward', units.length);
  const logits = inputs.pop() as Float32Array[];
  const seeding = { gradientSeed: 'fisher', gradientDraws: 1, seed: input.seed } as const;
  let gradients: Float32Array[] | undefined = logitGradients(walk.chunks, logits, seeding);
  const nothing = () => undefined;
  for (let index = units.length - 1; index > at; index--) {
    const own = inputs[index] as Float32Array[];
    gradients = await visitUnit(walk, units[index] as Unit, own, gradients, nothing, () => Promise.resolve());
    meter.advance('backward', 1);
  }
  let curve: Omit<ScoreCurve, 'floatLogits'> | undefined;
  const unit = units[at] as Unit;
  await visitUnit(walk, unit, inputs[at] as Float32Array[], gradients, nothing, async (captures) => {
    const scope = pool.scope();
    try {
      const chunks = captures.map(({ layers }) => layers.get(operation.name) as CapturedChunk);
      const prepared = await prepare(walk, operation, unit, chunks, input, scope);
      const scores = await everyScore(walk, prepared, input.operand);
      meter.advance('scores', 1);
      const found: Float32Array[] = [];
      for (const point of prepared.points) {
        found.push(await logitsWith(walk, units.slice(at), inputs[at] as Float32Array[], prepared.problem, point));
        meter.advance('candidates', ((units.length - at) * input.candidates) / prepared.points.length);
      }
      curve = { points: prepared.points, scales: prepared.scales, scores, logits: found };
    } finally {
      scope.release();
    }
  });
  gpu.check();
  return { ...(curve as Omit<ScoreCurve, 'floatLogits'>), floatLogits: concatenate(logits) };
}

function isLayer(operation: Unit['operations'][number], name: string): boolean {
  return isSearched(operation) && operation.name === name;
}

interface Prepared {
  readonly problem: LayerProblem;
  readonly ranges: LayerRanges;
  readonly points: readonly CurvePoint[];
  readonly scales: readonly number[];
}

async function prepare(
  { context, model }: Walk,
  operation: SearchedOperation,
  unit: Unit,
  chunks: readonly CapturedChunk[],
  { operand, bits, twin = true, candidates, seed }: CurveInput,
  scope: BufferScope,
): Promise<Prepared> {
  const shaped = twin ? 'twin' : 'uniform';
  const options = calibrationOptions('default', { seed, softmax: shaped, gelu: shaped });
  const geometry = productGeometry(operation, unit);
  const planned = layerPlan(operation, options);
  const plan: LayerPlan = {
    ...planned,
    aBits: operand === 'a' ? bits : 8,
    bBits: operand === 'b' ? bits : 8,
  };
  const prepared = await prepareLayer(context, model, operation, geometry, chunks, plan, options, scope);
  if (!(prepared.ranges.gradientRms > 0 && prepared.ranges.gradientRms < Infinity)) {
    throw new CalibrationError(
      `${operation.name}: the gradient of its output has a root mean square of ${prepared.ranges.gradientRms}; use other or more images`,
    );
  }
  const [left] = leftFamilies(plan, prepared.ranges, options, geometry.depth);
  if (!left || left.by === 'levels') throw new Error(`${operation.name} has no candidates by scale`);
  const right = rightOperand(plan, prepared.ranges, options);
  const factors = Array.from({ length: candidates }, (_, i) => (LARGEST_FACTOR * (i + 1)) / candidates);
  const all = (groups: number, factor: number) => new Float64Array(groups).fill(factor);
  let points: CurvePoint[];
  const scales = scalesOf(operand === 'a' ? left.initial : right.initial);
  if (operand === 'b') {
    points = factors.map((factor) => ({ factor, a: left.initial, b: right.quantizer(all(right.groups, factor)) }));
  } else if (left.by === 'factors') {
    points = factors.map((factor) => ({ factor, a: left.quantizer(all(left.groups, factor)), b: right.initial }));
  } else {
    const shifts = softmaxShifts(plan, geometry.depth, { ...options, search: 'exhaustive' }, 0, 0);
    points = shifts.map((shift) => ({ factor: null, a: twinSoftmax(bits, shift, options), b: right.initial }));
  }
  return { ...prepared, points, scales };
}

function scalesOf(quantizer: ActivationQuantizer): readonly number[] {
  if (quantizer.type === 'uniform') return quantizer.scales;
  return quantizer.type === 'twin-gelu' ? [quantizer.scaleR2] : [];
}

async function everyScore(
  { context }: Walk,
  { problem, ranges, points }: Prepared,
  operand: 'a' | 'b',
): Promise<Record<Metric, number[]>> {
  const { heads, rows, columns } = problem.geometry;
  const groups: ScoreGroups = heads > 1 ? { by: 'heads' } : { by: 'columns', parts: 1 };
  const [first] = points as [CurvePoint];
  const lefts = operand === 'a' ? points.map(({ a }) => a) : [first.a];
  const rights = operand === 'b' ? points.map(({ b }) => b) : [first.b];
  const lines = problem.chunks.reduce((sum, { images }) => sum + images, 0) * heads * rows;
  const scores = {} as Record<Metric, number[]>;
  for (const metric of METRICS) {
    const totals = await scoreCandidates(context, { ...problem, metric }, lefts, rights, groups, () => undefined);
    const terms = isRowMetric(metric) ? lines : lines * columns * (metric === 'hessian' ? ranges.gradientRms ** 2 : 1);
    scores[metric] = totals.map((parts) => parts.reduce((sum, part) => sum + part, 0) / terms);
  }
  return scores;
}

/** Logits of the network whose `units` follow on `inputs`, with one layer of the first quantized; f32 `[images][numClasses]`. */
async function logitsWith(
  { context, chunks }: Walk,
  units: readonly Unit[],
  inputs: readonly Float32Array[],
  problem: LayerProblem,
  { a, b }: CurvePoint,
): Promise<Float32Array> {
  const { device, pool } = context;
  const logits: Float32Array[] = [];
  for (const [c, { length: images }] of chunks.entries()) {
    const weightScope = pool.scope();
    let input = pool.upload(inputs[c] as Float32Array, 'unit input');
    try {
      const executor = await quantizedLayer(device, problem, problem.chunks[c] as CapturedChunk, { a, b }, weightScope);
      for (const [index, unit] of units.entries()) {
        const scope = pool.scope();
        try {
          const float = floatExecutor(context, unit);
          const mixed: SearchedExecutor = (operation, ...rest) =>
            (index === 0 && operation.name === problem.name ? executor : float)(operation, ...rest);
          const tensors = await forwardUnit(context, unit, input, images, scope, mixed);
          const output = scope.keep(tensors.get(unit.output) as GPUBuffer);
          pool.release(input);
          input = output;
        } finally {
          scope.release();
        }
      }
      const count = images * ((units.at(-1) as Unit).elements[(units.at(-1) as Unit).output] as number);
      logits.push(await readF32(device, input, count));
    } finally {
      pool.release(input);
      weightScope.release();
    }
  }
  return concatenate(logits);
}

/** Runs the layer as its score was taken. */
async function quantizedLayer(
  device: GPUDevice,
  { geometry, weight, bias }: LayerProblem,
  captured: CapturedChunk,
  recipe: { readonly a: ActivationQuantizer; readonly b: UniformQuantizer },
  scope: BufferScope,
): Promise<SearchedExecutor> {
  let codes: GPUBuffer | undefined;
  if (weight) {
    const { depth, columns } = geometry;
    const shape = { images: 1, heads: 1, depth, columns };
    const { repeat } = productShape(depth, recipe.a);
    const encoded = await encodeRight(device, weight, weightMatrix(depth), shape, [recipe.b], scope, repeat);
    submit(device, encoded.dispatches);
    codes = encoded.codes;
  }
  const layer = { recipe, geometry, weight: codes && { codes, bias } };
  return (_operation, tensors, images, output, work) =>
    runLayer(device, layer, tensors, images, output, () => captured.a, work);
}
