import type { Model } from '../model/load.ts';
import { inputRows, type ForwardStatistics } from './forwardStatistics.ts';
import { nonlinearErrors, type Power } from './nonlinearErrors.ts';
import { codesWritten, type NonlinearUse } from './nonlinearUses.ts';
import {
  NONLINEAR_METHODS,
  type IntegerRecipe,
  type LayerRecipe,
  type NonlinearMethod,
  type NonlinearRecipe,
} from './recipe.ts';

/** Of the errors in a recipe; methods are compared before they are rounded. */
const DIGITS = 4;

/**
 * The integer section of a recipe: the ranges of the float forward pass, and for every nonlinear operation the error of each
 * method under the searched quantizers. Operations after which the search left no twin ranges are not listed.
 */
export function integerRecipe(
  model: Model,
  statistics: ForwardStatistics,
  layers: readonly LayerRecipe[],
): IntegerRecipe {
  const { ranges } = statistics;
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const rangeOf = (name: string) => ranges.get(name) as number;
  const powers = new Map<string, { use: NonlinearUse; powers: Record<NonlinearMethod, Power | undefined>[] }>();
  for (const sample of statistics.samples) {
    const { use } = sample;
    const quantizer = codesWritten(use, byName.get(use.reader.name), rangeOf);
    if (!quantizer) continue;
    const { operation, windows, masked } = use;
    const problem = { operation, windows, masked, input: inputRows(sample), range: rangeOf(use.range), quantizer };
    const found = nonlinearErrors(problem, model.parameters);
    const key = `${operation.kind} ${operation.name}`; // a norm with two readers is one entry
    powers.set(key, { use, powers: [...(powers.get(key)?.powers ?? []), found] });
  }
  return {
    ranges: Object.fromEntries(ranges),
    nonlinear: [...powers.values()].map((entry) => nonlinearRecipe(entry.use, entry.powers)),
  };
}

function nonlinearRecipe(
  { operation }: NonlinearUse,
  powers: readonly Record<NonlinearMethod, Power | undefined>[],
): NonlinearRecipe {
  const { name, kind } = operation;
  const ratios = NONLINEAR_METHODS.map((method) => [method, ratio(powers.map((power) => power[method]))] as const);
  const [method, error] = ratios.reduce((best, entry) =>
    (entry[1] ?? Infinity) < (best[1] ?? Infinity) ? entry : best,
  );
  const rounded = ratios.map(([each, value]) => [each, value === null ? null : Number(value.toPrecision(DIGITS))]);
  const errors = Object.fromEntries(rounded) as Record<NonlinearMethod, number | null>;
  return { name, kind, method: error === null ? 'lut' : method, errors };
}

/** Noise over signal; null where a method has no integers, or noise without any signal. */
function ratio(powers: readonly (Power | undefined)[]): number | null {
  let [noise, signal] = [0, 0];
  for (const power of powers) {
    if (!power) return null;
    noise += power.noise;
    signal += power.signal;
  }
  if (noise === 0) return 0;
  return signal > 0 ? noise / signal : null;
}
