import { readF32 } from '../gpu/readback.ts';
import { forwardUnit, type ExecutionContext, type Tensors } from '../model/execute.ts';
import type { Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { captureUnit, type UnitCapture } from './captureUnit.ts';
import { chunkPatches, chunkPixelCodes, type ImageChunk } from './imageChunks.ts';

/** What a walk over the units needs. */
export interface Walk {
  readonly context: ExecutionContext;
  readonly model: Model;
  readonly chunks: readonly ImageChunk[];
}

/** Told of every unit's tensors of one chunk during the forward pass; they are freed afterwards. */
export type Observe = (
  unit: Unit,
  tensors: Tensors,
  place: { readonly firstImage: number; readonly images: number },
) => Promise<void>;

/**
 * The float forward pass. Device memory is that of one unit; the input of every unit, and last the logits, stay in host memory:
 * f32 `[units + 1][chunks]`.
 */
export async function forwardUnits({ context, model, chunks }: Walk, observe: Observe): Promise<Float32Array[][]> {
  let current = chunks.map((chunk) => chunkPatches(chunk, model));
  const inputs = [current];
  for (const unit of model.network.units) {
    const next: Float32Array[] = [];
    let firstImage = 0;
    for (const [c, { length: images }] of chunks.entries()) {
      const scope = context.pool.scope();
      try {
        const input = scope.upload(current[c] as Float32Array, `${unit.name} input`);
        const tensors = await forwardUnit(context, unit, input, images, scope);
        const count = images * (unit.elements[unit.output] as number);
        next.push(await readF32(context.device, tensors.get(unit.output) as GPUBuffer, count));
        await observe(unit, tensors, { firstImage, images });
      } finally {
        scope.release();
      }
      firstImage += images;
    }
    context.parameters.release(unit);
    inputs.push((current = next));
  }
  return inputs;
}

/**
 * Recomputes one unit with capture, back-propagates through it and hands its captured layers to `visit`. Everything is freed
 * afterwards.
 *
 * @param gradients of the unit's output, f32 `[chunks]` of `[draws][images][elements]`; undefined when nothing needs them
 * @param averaged the gradients of the layers are the roots of their mean magnitudes over all images: for `perturbationGradients`
 * @returns gradients of the unit's input, f32 `[chunks]` of `[draws][images][elements]`; undefined for the first unit, and
 *   without `gradients`
 */
export async function visitUnit(
  { context, model, chunks }: Walk,
  unit: Unit,
  inputs: readonly Float32Array[],
  gradients: readonly Float32Array[] | undefined,
  onCapture: (images: number) => void,
  visit: (captures: readonly UnitCapture[]) => Promise<void>,
  averaged = false,
): Promise<Float32Array[] | undefined> {
  const { device, pool, parameters } = context;
  const isFirst = unit === model.network.units[0];
  const scope = pool.scope();
  try {
    let captures: UnitCapture[] = [];
    for (const [c, chunk] of chunks.entries()) {
      const input = {
        images: chunk.length,
        input: inputs[c] as Float32Array,
        outputGradient: gradients?.[c],
        pixelCodes: isFirst ? chunkPixelCodes(chunk, model) : undefined,
      };
      captures.push(await captureUnit(context, unit, input, scope));
      onCapture(chunk.length);
    }
    if (averaged) {
      const { averagePerturbation } = await import('./perturbation.ts');
      captures = await averagePerturbation(context, unit, captures, scope);
    }
    await device.queue.onSubmittedWorkDone();
    await visit(captures);
    if (isFirst || !gradients) return undefined;
    const inputGradients: Float32Array[] = [];
    for (const [c, { inputGradient }] of captures.entries()) {
      const elements = (chunks[c] as ImageChunk).length * (unit.elements[unit.output] as number);
      const draws = (gradients[c] as Float32Array).length / elements;
      inputGradients.push(
        await readF32(device, inputGradient as GPUBuffer, draws * (inputs[c] as Float32Array).length),
      );
    }
    return inputGradients;
  } finally {
    scope.release();
    parameters.release(unit);
    pool.trim();
  }
}
