import type { BufferScope } from '../gpu/buffers.ts';
import { submit } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { accumulatePowers } from '../kernels/accumulatePowers.ts';
import { rootMean } from '../kernels/rootMean.ts';
import { backwardUnit, forwardUnit, outputOf, type ExecutionContext } from '../model/execute.ts';
import { isSearched, type Unit } from '../model/graph.ts';
import type { UnitCapture } from './captureUnit.ts';
import { randomSigns, softmax, type DrawKey } from './gradientSeed.ts';
import type { CapturedChunk } from './layerScorer.ts';

/** Step of the difference quotient over the root mean square of the perturbed output of an image. */
const STEP = 2 ** -7;

/**
 * The perturbation Hessian of a unit's output (APHQ-ViT, CVPR 2025): `H r`, the change of the gradient of the KL divergence when
 * the output moves along r; its magnitude stands for the diagonal of H. At the float output that gradient is zero, so that H is
 * exactly `J^T F J` with J the rest of the network and `F = diag(p) - p p^T`.
 *
 * The published code moves all elements alike, r = 1. LayerNorm takes off what is common to the features of a token, so that this
 * r changes no logit of a ViT beyond rounding; r is of random signs here, one an image, of the counter-based generator. It
 * subtracts two gradients a step of 2e-6 apart; here the quotient is of the logits, `J r`, and the rest is exact, which f32
 * can bear. The divergence is at temperature 1, where the published code has 20.
 *
 * @param later the units after it, first to last
 * @param inputs input of each of `later`, f32 `[images][elements]`; the first is the output that is perturbed
 * @param logits f32 `[images][numClasses]`
 * @param keys one an image
 * @returns f32 `[images][elements]`, to be back-propagated through the unit
 */
export async function perturbationGradient(
  context: ExecutionContext,
  later: readonly Unit[],
  inputs: readonly Float32Array[],
  logits: Float32Array,
  keys: readonly DrawKey[],
): Promise<Float32Array> {
  const images = keys.length;
  const output = inputs[0] as Float32Array;
  const elements = output.length / images;
  const steps = Float64Array.from({ length: images }, (_, image) => {
    const own = output.subarray(image * elements, (image + 1) * elements);
    return STEP * Math.sqrt(own.reduce((sum, value) => sum + value * value, 0) / elements) || STEP;
  });
  const signs = keys.map((key) => randomSigns(elements, key));
  const moved = (way: number) =>
    output.map((value, i) => {
      const image = Math.floor(i / elements);
      return value + way * (steps[image] as number) * (signs[image]?.[i % elements] as number);
    });
  const above = await runUnits(context, later, moved(1), images);
  const below = await runUnits(context, later, moved(-1), images);
  const slope = above.map(
    (z, i) => (z - (below[i] as number)) / (2 * (steps[Math.floor((i * images) / above.length)] as number)),
  );
  let gradient = throughDivergence(logits, slope, images);
  for (const [index, unit] of [...later.entries()].reverse()) {
    gradient = await inputGradient(context, unit, inputs[index] as Float32Array, gradient, images);
  }
  return gradient;
}

/**
 * Replaces the captured gradients h of a unit, which came from `perturbationGradient`, by `sqrt(mean |h|)` over all images, the
 * same for every image: the score squares it to the average perturbation Hessian.
 *
 * @param captures one a chunk, in the order of the images
 * @param scope owns the new gradients
 */
export async function averagePerturbation(
  { device, pool }: ExecutionContext,
  unit: Unit,
  captures: readonly UnitCapture[],
  scope: BufferScope,
): Promise<UnitCapture[]> {
  const layers = captures.map((capture) => new Map<string, CapturedChunk>(capture.layers));
  for (const operation of unit.operations.filter(isSearched)) {
    const { name } = operation;
    const count = unit.elements[outputOf(operation)] as number;
    const sums = pool.zeros(4 * count, `magnitudes of ${name}`);
    const chunks = layers.map((captured) => captured.get(name) as CapturedChunk);
    for (const { images, gradient } of chunks) {
      const shape = { count, repeats: images, power: 1 } as const;
      submit(device, [await accumulatePowers(device, { source: gradient, sums }, shape)]);
    }
    const factor = 1 / chunks.reduce((total, { images }) => total + images, 0);
    for (const [c, chunk] of chunks.entries()) {
      const y = scope.acquire(4 * chunk.images * count, `importance of ${name}`);
      submit(device, [await rootMean(device, { sums, y }, { count, repeats: chunk.images, factor })]);
      layers[c]?.set(name, { ...chunk, gradient: y });
    }
    pool.release(sums);
  }
  return captures.map(({ inputGradient }, c) => ({ layers: layers[c] as Map<string, CapturedChunk>, inputGradient }));
}

/** `F slope` per image, with `F = diag(p) - p p^T`. */
function throughDivergence(logits: Float32Array, slope: Float32Array, images: number): Float32Array {
  const classes = logits.length / images;
  const result = new Float32Array(logits.length);
  for (let first = 0; first < logits.length; first += classes) {
    const p = softmax(logits.subarray(first, first + classes));
    const mean = p.reduce((sum, weight, i) => sum + weight * (slope[first + i] as number), 0);
    p.forEach((weight, i) => (result[first + i] = weight * ((slope[first + i] as number) - mean)));
  }
  return result;
}

async function runUnits(
  context: ExecutionContext,
  units: readonly Unit[],
  input: Float32Array,
  images: number,
): Promise<Float32Array> {
  let current = input;
  for (const unit of units) {
    const scope = context.pool.scope();
    try {
      const tensors = await forwardUnit(context, unit, scope.upload(current, `${unit.name} input`), images, scope);
      const count = images * (unit.elements[unit.output] as number);
      current = await readF32(context.device, tensors.get(unit.output) as GPUBuffer, count);
    } finally {
      scope.release();
    }
    context.parameters.release(unit);
  }
  return current;
}

async function inputGradient(
  context: ExecutionContext,
  unit: Unit,
  input: Float32Array,
  outputGradient: Float32Array,
  images: number,
): Promise<Float32Array> {
  const scope = context.pool.scope();
  try {
    const tensors = await forwardUnit(context, unit, scope.upload(input, `${unit.name} input`), images, scope);
    const dy = scope.upload(outputGradient, `${unit.name} output gradient`);
    const gradients = await backwardUnit(context, unit, tensors, dy, images, scope);
    return await readF32(context.device, gradients.get(unit.input) as GPUBuffer, input.length);
  } finally {
    scope.release();
    context.parameters.release(unit);
  }
}
