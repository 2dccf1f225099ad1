import type { Budget, CalibrationImage, CalibrationOptions, Gpu, MixedPrecision, Model, Progress } from '../node.ts';
import { UsageError } from './errors.ts';

const TARGETS = ['target-bits', 'target-bytes', 'target-ms'] as const;

/** What the options of single layers are chosen for; undefined when they are not. */
export function budgetOf(values: { readonly [K in (typeof TARGETS)[number]]: number | undefined }): Budget | undefined {
  const { 'target-bits': bits, 'target-bytes': bytes, 'target-ms': ms } = values;
  const given = TARGETS.filter((target) => values[target] !== undefined).map((target) => `--${target}`);
  if (given.length > 1) throw new UsageError(`${given.join(' and ')} exclude each other; give one`);
  if (bits !== undefined) return { bits };
  if (bytes !== undefined) return { bytes };
  return ms === undefined ? undefined : { ms };
}

/** Chooses widths, or twin ranges and levels, so that the budget is kept. */
export async function mixedPrecision(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  options: CalibrationOptions,
  budget: Budget,
  control: { readonly onProgress: (step: Progress) => void; readonly signal: AbortSignal },
): Promise<MixedPrecision> {
  const node = await import('../node.ts');
  if (!('ms' in budget)) {
    return node.chooseWidths(
      await node.measureSensitivity(gpu, model, images, options, control),
      budget,
      options.layers,
    );
  }
  const times = await node.measureProductTimes(gpu, model.network, control);
  const families = await node.measureFamilies(gpu, model, images, options, control);
  return node.chooseFamilies(families, times, budget, options.layers);
}

/** The options with what was chosen in place; a chosen width is that of the patch embedding and the head too. */
export function withChoices(options: CalibrationOptions, { unit, rules }: MixedPrecision): CalibrationOptions {
  return {
    ...options,
    ...(unit === 'ms' ? {} : { outerWeightBits: 'same' }),
    layers: [...options.layers, ...rules],
  };
}
