import { allocate, paretoCurve, type Allocation, type Choice } from './allocate.ts';
import type { LayerRule } from './options.ts';
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
 * @throws BudgetError when even two bits a weight are over the budget
 */
export function chooseWidths(sensitivities: readonly LayerSensitivity[], budget: WidthBudget): MixedPrecision {
  const layers = sensitivities.filter(({ parameters }) => parameters > 0);
  const weights = layers.reduce((sum, { parameters }) => sum + parameters, 0);
  const bitsAllowed = 'bits' in budget ? Math.floor(budget.bits * weights) : 8 * budget.bytes;
  const unit = 'bits' in budget ? weights : 8;
  const choices = layers.map(({ parameters, damage }) =>
    WIDTHS.map((bits, i): Choice => ({ cost: bitsOf(parameters, bits, budget), damage: damage[i] as number })),
  );
  const smallest = choices.reduce((sum, [first]) => sum + (first as Choice).cost, 0);
  if (smallest > bitsAllowed) {
    const asked = 'bits' in budget ? `${budget.bits} bits a weight` : `${budget.bytes} bytes`;
    const least = 'bits' in budget ? `${WIDTHS[0]} bits` : `${smallest / 8} bytes`;
    throw new BudgetError(`${asked} are too few for the weights of this model: the least is ${least}`);
  }
  const allocation: Allocation = allocate(choices, bitsAllowed);
  return {
    rules: layers.map(({ name }, i) => ({
      pattern: name,
      options: { weightBits: WIDTHS[allocation.chosen[i] as number] as number },
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
 * @throws BudgetError when even twin ranges everywhere take longer
 */
export function chooseFamilies(
  sensitivities: readonly FamilySensitivity[],
  times: readonly ProductTime[],
  { ms }: TimeBudget,
): MixedPrecision {
  const byName = new Map(times.map((time) => [time.name, time]));
  const choices = sensitivities.map(({ name, damage }) => {
    const { codesMs, levelsMs = codesMs } = byName.get(name) as ProductTime;
    return TIMED_FAMILIES.map((family, i): Choice => {
      return { cost: family === 'twin' ? codesMs : levelsMs, damage: damage[i] as number };
    });
  });
  const chosen = new Set(sensitivities.map(({ name }) => name));
  const others = times.reduce((sum, { name, codesMs }) => (chosen.has(name) ? sum : sum + codesMs), 0);
  const least = choices.reduce((sum, own) => sum + Math.min(...own.map(({ cost }) => cost)), 0);
  if (least > ms - others) {
    const total = (others + least).toPrecision(4);
    throw new BudgetError(
      `${ms} ms are too few for the products of this model on this adapter: the least is ${total} ms an image`,
    );
  }
  const allocation: Allocation = allocate(choices, ms - others);
  return {
    rules: sensitivities.map(({ name, operand }, i) => ({
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

/** Codes fill whole bytes of a file, a layer at a time. */
function bitsOf(parameters: number, bits: number, budget: WidthBudget): number {
  return 'bits' in budget ? parameters * bits : 8 * Math.ceil((parameters * bits) / 8);
}
