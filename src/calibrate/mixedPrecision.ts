import { allocate, paretoCurve, type Allocation, type Choice } from './allocate.ts';
import { matches, type LayerOverrides, type LayerRule, type ShapedQuantizer } from './options.ts';
import type { ProductTime } from './productTimes.ts';
import { TIMED_FAMILIES, WIDTHS, type FamilySensitivity, type LayerSensitivity } from './sensitivity.ts';

/** Mean bits of a weight, or bytes of all weight codes as a model file packs them. */
export type WidthBudget = { readonly bits: number } | { readonly bytes: number };
/** Milliseconds of all integer products of one image on an adapter. */
export interface TimeBudget {
  readonly ms: number;
}
export type Budget = WidthBudget | TimeBudget;

/** A budget that no choice can keep; the message says what the least is. */
export class BudgetError extends Error {
  override readonly name = 'BudgetError';
}

/** What was chosen for single layers, and what that costs. */
export interface MixedPrecision {
  /** A rule for every layer that had a choice. */
  readonly rules: readonly LayerRule[];
  readonly unit: 'bits' | 'bytes' | 'ms';
  /** In that unit. */
  readonly budget: number;
  readonly cost: number;
  /** Expected KL divergence in nats an image by `LayerSensitivity`, and what no choice within the budget could undercut. */
  readonly damage: number;
  readonly bound: number;
  /** Cost against damage for every budget. */
  readonly curve: readonly { readonly cost: number; readonly damage: number }[];
}

/**
 * Chooses the width of every weight so that the sum of the damages is small and the budget is kept.
 *
 * @param given rules of the caller: a layer whose width they state keeps it
 * @throws BudgetError when even two bits a weight are over the budget
 */
export function chooseWidths(
  sensitivities: readonly LayerSensitivity[],
  budget: WidthBudget,
  given: readonly LayerRule[] = [],
): MixedPrecision {
  const layers = sensitivities.filter(({ parameters }) => parameters > 0);
  const weights = layers.reduce((sum, { parameters }) => sum + parameters, 0);
  const bitsAllowed = 'bits' in budget ? Math.floor(budget.bits * weights) : 8 * budget.bytes;
  const unit = 'bits' in budget ? weights : 8;
  const widths = layers.map(({ name }) => {
    const { weightBits } = overridesOf(name, given);
    return WIDTHS.filter((bits) => weightBits === undefined || bits === weightBits);
  });
  const choices = layers.map(({ parameters, damage }, i) =>
    (widths[i] as readonly number[]).map((bits): Choice => {
      return {
        cost: bitsOf(parameters, bits, budget),
        damage: damage[WIDTHS.findIndex((width) => width === bits)] as number,
      };
    }),
  );
  const smallest = choices.reduce((sum, [first]) => sum + (first as Choice).cost, 0);
  if (smallest > bitsAllowed) {
    const asked = 'bits' in budget ? `${budget.bits} bits a weight` : `${budget.bytes} bytes`;
    const least = 'bits' in budget ? `${(smallest / weights).toPrecision(3)} bits` : `${smallest / 8} bytes`;
    throw new BudgetError(`${asked} are too few for the weights of this model: the least is ${least}`);
  }
  const allocation: Allocation = allocate(choices, bitsAllowed);
  return {
    rules: layers.map(({ name }, i) => ({
      pattern: name,
      options: { weightBits: widths[i]?.[allocation.chosen[i] as number] as number },
    })),
    unit: 'bits' in budget ? 'bits' : 'bytes',
    budget: 'bits' in budget ? budget.bits : budget.bytes,
    cost: allocation.cost / unit,
    damage: allocation.damage,
    bound: allocation.bound,
    curve: paretoCurve(choices).map(({ cost, damage }) => ({ cost: cost / unit, damage })),
  };
}

/**
 * Chooses twin ranges or levels for every layer that reads probabilities or GELU outputs, so that the sum of the damages is small and
 * the products of the network take no longer than the budget. Levels cost a product of twice the depth.
 *
 * @param times of all layers; those without a choice add to the cost
 * @param given rules of the caller: a layer whose quantizer they state keeps it
 * @throws BudgetError when even twin ranges everywhere take longer
 */
export function chooseFamilies(
  sensitivities: readonly FamilySensitivity[],
  times: readonly ProductTime[],
  { ms }: TimeBudget,
  given: readonly LayerRule[] = [],
): MixedPrecision {
  const stated = new Map(
    sensitivities.map(({ name, operand }) => [name, overridesOf(name, given)[operand] ?? 'auto'] as const),
  );
  const free = sensitivities.filter(({ name }) => OPEN.has(stated.get(name) ?? 'auto'));
  const byName = new Map(times.map((time) => [time.name, time]));
  const choices = free.map(({ name, damage }) => {
    const { codesMs, levelsMs = codesMs } = byName.get(name) as ProductTime;
    return TIMED_FAMILIES.map((family, i): Choice => {
      return { cost: family === 'twin' ? codesMs : levelsMs, damage: damage[i] as number };
    });
  });
  const chosen = new Set(free.map(({ name }) => name));
  const others = times.reduce((sum, { name, codesMs, levelsMs = codesMs }) => {
    if (chosen.has(name)) return sum;
    return sum + (LEVELS.has(stated.get(name) ?? 'uniform') ? levelsMs : codesMs);
  }, 0);
  const least = choices.reduce((sum, own) => sum + Math.min(...own.map(({ cost }) => cost)), 0);
  if (least > ms - others) {
    const total = (others + least).toPrecision(4);
    throw new BudgetError(
      `${ms} ms are too few for the products of this model on this adapter: the least is ${total} ms an image`,
    );
  }
  const allocation: Allocation = allocate(choices, ms - others);
  return {
    rules: free.map(({ name, operand }, i) => ({
      pattern: name,
      options: { [operand]: TIMED_FAMILIES[allocation.chosen[i] as number] },
    })),
    unit: 'ms',
    budget: ms,
    cost: others + allocation.cost,
    damage: allocation.damage,
    bound: allocation.bound,
    curve: paretoCurve(choices).map(({ cost, damage }) => ({ cost: others + cost, damage })),
  };
}

/** Quantizers that leave the choice open, and those whose products are of two planes. */
const OPEN: ReadonlySet<ShapedQuantizer> = new Set(['auto', 'best']);
const LEVELS: ReadonlySet<ShapedQuantizer> = new Set(['log2', 'adaptive-log']);

/** What rules say of the layer `name`. */
function overridesOf(name: string, rules: readonly LayerRule[]): LayerOverrides {
  return Object.assign(
    {},
    ...rules.filter(({ pattern }) => matches(pattern, name)).map(({ options }) => options),
  ) as LayerOverrides;
}

/** Codes fill whole bytes of a file, a layer at a time. */
function bitsOf(parameters: number, bits: number, budget: WidthBudget): number {
  return 'bits' in budget ? parameters * bits : 8 * Math.ceil((parameters * bits) / 8);
}
