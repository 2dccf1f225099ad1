import { concatenate } from '../model/concatenate.ts';
import { gradientSeed, isDrawn } from './gradientSeed.ts';
import type { ImageChunk } from './imageChunks.ts';
import type { CalibrationOptions } from './options.ts';
import type { Walk } from './sweep.ts';

export type SeedOptions = Pick<CalibrationOptions, 'gradientSeed' | 'gradientDraws' | 'seed'>;

/** How often a unit is back-propagated. */
export function drawsOf({ gradientSeed: kind, gradientDraws }: SeedOptions): number {
  return isDrawn(kind) ? gradientDraws : 1;
}

/**
 * The gradients at the logits that the options ask for, f32 `[chunks]` of `[draws][images][numClasses]`.
 *
 * @param logits f32 `[chunks]` of `[images][numClasses]`
 * @throws CalibrationError naming an image without a label, with the gradient seed `label`
 */
export function logitGradients(
  chunks: readonly ImageChunk[],
  logits: readonly Float32Array[],
  options: SeedOptions,
): Float32Array[] {
  const { gradientSeed: kind, seed } = options;
  return chunks.map((chunk, c) => {
    const own = logits[c] as Float32Array;
    const classes = own.length / chunk.length;
    const draws = Array.from({ length: drawsOf(options) }, (_, draw) =>
      chunk.map(({ file, sha256: imageSha256, label }, i) =>
        gradientSeed(kind, own.subarray(i * classes, (i + 1) * classes), { seed, draw, imageSha256, file, label }),
      ),
    );
    return concatenate(draws.flat());
  });
}

/**
 * With the gradient seed `perturbation`: the gradients of the output of unit `index`, f32 `[chunks]` of `[images][elements]`,
 * instead of those that the unit after it hands down. The gradients of its layers are then averaged, see `visitUnit`.
 *
 * @param inputs f32 `[units][chunks]`, at least those of the units after it
 * @param logits f32 `[chunks]`
 */
export async function perturbationGradients(
  { context, model, chunks }: Walk,
  index: number,
  inputs: readonly (readonly Float32Array[])[],
  logits: readonly Float32Array[],
  options: SeedOptions,
): Promise<Float32Array[]> {
  const later = model.network.units.slice(index + 1);
  if (later.length === 0) return logitGradients(chunks, logits, options);
  const { perturbationGradient } = await import('./perturbation.ts');
  const gradients: Float32Array[] = [];
  for (const [c, chunk] of chunks.entries()) {
    const own = inputs.slice(index + 1, index + 1 + later.length).map((unit) => unit[c] as Float32Array);
    const keys = chunk.map(({ sha256: imageSha256 }) => ({ seed: options.seed, imageSha256 }));
    gradients.push(await perturbationGradient(context, later, own, logits[c] as Float32Array, keys));
  }
  return gradients;
}
