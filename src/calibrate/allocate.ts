/** One way to quantize a layer. */
export interface Choice {
  /** Bytes, bit-weighted parameters or milliseconds: whatever the budget counts; at least 0. */
  readonly cost: number;
  /** Expected loss that the choice adds; at least 0. */
  readonly damage: number;
}

export interface Allocation {
  /** Index of the choice of each layer. */
  readonly chosen: readonly number[];
  readonly cost: number;
  readonly damage: number;
  /** No allocation within the budget has less damage than this. */
  readonly bound: number;
}

/**
 * Chooses one of its choices for every layer, so that the costs stay within `budget` and the damage is small: the multiple-choice
 * knapsack. Each layer begins at its cheapest choice and climbs the lower convex hull of (cost, damage); steps are taken by the
 * damage they save for their cost while the budget lasts (Sinha and Zoltners, 1979). The first step that does not fit gives the
 * bound of the relaxed problem, then smaller ones are still taken where they fit. `damage - bound` is the gap: 0 where the budget
 * is met exactly on the hull.
 *
 * @throws RangeError with both numbers when even the cheapest choices cost more than the budget
 */
export function allocate(layers: readonly (readonly Choice[])[], budget: number): Allocation {
  const hulls = layers.map(hullOf);
  const cheapest = hulls.reduce((sum, hull) => sum + (hull[0] as Point).cost, 0);
  if (cheapest > budget) throw new RangeError(`the cheapest choices cost ${cheapest}, the budget is ${budget}`);
  const steps = hulls.flatMap((hull, layer) =>
    hull.slice(1).map((point, i) => ({ layer, to: i + 1, ...stepBetween(hull[i] as Point, point) })),
  );
  steps.sort((a, b) => b.saved * a.cost - a.saved * b.cost || a.layer - b.layer || a.to - b.to);
  const reached = layers.map(() => 0);
  let cost = cheapest;
  let bound: number | undefined;
  const damageOf = () => hulls.reduce((sum, hull, layer) => sum + (hull[reached[layer] as number] as Point).damage, 0);
  for (const { layer, to, ...step } of steps) {
    if (reached[layer] !== to - 1) continue; // an earlier step of this layer did not fit
    if (cost + step.cost <= budget) {
      reached[layer] = to;
      cost += step.cost;
    } else {
      bound ??= damageOf() - step.saved * ((budget - cost) / step.cost);
    }
  }
  const damage = damageOf();
  const chosen = hulls.map((hull, layer) => (hull[reached[layer] as number] as Point).index);
  return { chosen, cost: sumOf(layers, chosen, 'cost'), damage, bound: bound ?? damage };
}

/** Every corner that `allocate` can reach, cheapest first: the trade of cost against damage as far as the hulls tell it. */
export function paretoCurve(layers: readonly (readonly Choice[])[]): { cost: number; damage: number }[] {
  const hulls = layers.map(hullOf);
  let cost = hulls.reduce((sum, hull) => sum + (hull[0] as Point).cost, 0);
  let damage = hulls.reduce((sum, hull) => sum + (hull[0] as Point).damage, 0);
  const steps = hulls.flatMap((hull) => hull.slice(1).map((point, i) => stepBetween(hull[i] as Point, point)));
  steps.sort((a, b) => b.saved * a.cost - a.saved * b.cost);
  const curve = [{ cost, damage }];
  for (const step of steps) {
    cost += step.cost;
    damage -= step.saved;
    curve.push({ cost, damage });
  }
  return curve;
}

interface Point extends Choice {
  readonly index: number;
}

function stepBetween(from: Point, to: Point): { cost: number; saved: number } {
  return { cost: to.cost - from.cost, saved: from.damage - to.damage };
}

/** The choices on the lower convex hull of (cost, damage), cheapest first: each dearer one saves damage, and less for its cost. */
function hullOf(choices: readonly Choice[]): Point[] {
  const sorted = choices
    .map((choice, index) => ({ ...choice, index }))
    .sort((a, b) => a.cost - b.cost || a.damage - b.damage || a.index - b.index);
  const hull: Point[] = [];
  for (const point of sorted) {
    if (hull.length > 0 && point.damage >= (hull.at(-1) as Point).damage) continue;
    while (hull.length > 1) {
      const first = stepBetween(hull.at(-2) as Point, hull.at(-1) as Point);
      const second = stepBetween(hull.at(-1) as Point, point);
      if (second.saved * first.cost < first.saved * second.cost) break;
      hull.pop();
    }
    hull.push(point);
  }
  return hull;
}

function sumOf(layers: readonly (readonly Choice[])[], chosen: readonly number[], what: keyof Choice): number {
  return chosen.reduce((sum, index, layer) => sum + (layers[layer]?.[index] as Choice)[what], 0);
}
