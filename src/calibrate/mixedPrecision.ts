import { allocate, paretoCurve, type Allocation, type Choice } from './allocate.ts';
import type { LayerRule } from './options.ts';
import { WIDTHS, type LayerSensitivity } from './sensitivity.ts';

/** Mean bits of a weight, or bytes of all weight codes as a model file packs them. */
export type Budget = { readonly bits: number } | { readonly bytes: number };

/** A budget that no choice of widths can keep; the message says what the least is. */
export class BudgetError extends Error {
  override readonly name = 'BudgetError';
}

/** Widths chosen for all layers, and what that costs. */
export interface MixedPrecision {
  /** A rule for every layer with a weight. */
  readonly rules: readonly LayerRule[];
  /** In the unit of the budget. */
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
export function chooseWidths(sensitivities: readonly LayerSensitivity[], budget: Budget): MixedPrecision {
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
    budget: 'bits' in budget ? budget.bits : budget.bytes,
    cost: allocation.cost / unit,
    damage: allocation.damage,
    bound: allocation.bound,
    curve: paretoCurve(choices).map(({ cost, damage }) => ({ cost: cost / unit, damage })),
  };
}

/** Codes fill whole bytes of a file, a layer at a time. */
function bitsOf(parameters: number, bits: number, budget: Budget): number {
  return 'bits' in budget ? parameters * bits : 8 * Math.ceil((parameters * bits) / 8);
}
