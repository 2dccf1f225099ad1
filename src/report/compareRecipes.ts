import type { LayerView, RecipeView } from './data.ts';

/** A layer in two recipes; null in the one that lacks it. */
export interface LayerChange {
  readonly name: string;
  readonly a: LayerView | null;
  readonly b: LayerView | null;
  /** Scores of the second over the first: below 1 is better; null where they are of different metrics. */
  readonly scoreRatio: number | null;
  /** SQNR of the second less that of the first, dB; null where a run kept none. */
  readonly sqnrGainDb: number | null;
  /** Middle scale of the second over the first, of both operands; null where quantizers differ in type. */
  readonly scaleRatioA: number | null;
  readonly scaleRatioB: number | null;
  /** Of the twin shift. */
  readonly shiftChange: number | null;
  /** Whether both quantizers and the score are the same. */
  readonly same: boolean;
}

/** What two recipes differ in; plain JSON-able data. */
export interface DiffData {
  readonly kind: 'diff';
  readonly first: RecipeView;
  readonly second: RecipeView;
  readonly sameWeights: boolean;
  /** Options whose values differ, as JSON. */
  readonly options: readonly { readonly name: string; readonly first: string; readonly second: string }[];
  readonly layers: readonly LayerChange[];
}

export function compareRecipes(first: RecipeView, second: RecipeView): DiffData {
  const optionsOf = ({ options }: RecipeView) =>
    new Map(Object.entries(options).map(([k, v]) => [k, JSON.stringify(v)]));
  const [before, after] = [optionsOf(first), optionsOf(second)];
  const names = [...new Set([...before.keys(), ...after.keys()])];
  const options = names
    .map((name) => ({ name, first: before.get(name) ?? 'none', second: after.get(name) ?? 'none' }))
    .filter((option) => option.first !== option.second);
  const layerNames = [...new Set([...first.layers, ...second.layers].map(({ name }) => name))];
  const find = ({ layers }: RecipeView, name: string) => layers.find((layer) => layer.name === name) ?? null;
  const sameMetric = first.options.metric === second.options.metric;
  return {
    kind: 'diff',
    first,
    second,
    sameWeights: first.weightsSha256 === second.weightsSha256,
    options,
    layers: layerNames.map((name) => change(name, find(first, name), find(second, name), sameMetric)),
  };
}

function change(name: string, a: LayerView | null, b: LayerView | null, sameMetric: boolean): LayerChange {
  const ratio = (of: 'a' | 'b') => {
    const [x, y] = [a?.[of], b?.[of]];
    return x?.scales && y?.scales && x.quantizer.type === y.quantizer.type ? y.scales.middle / x.scales.middle : null;
  };
  const withoutReport = (layer: LayerView | null) => JSON.stringify(layer && { ...layer, report: null });
  return {
    ...{ name, a, b },
    scoreRatio: a && b && sameMetric && a.score > 0 ? b.score / a.score : null,
    sqnrGainDb: a?.report && b?.report ? b.report.sqnrDb - a.report.sqnrDb : null,
    scaleRatioA: ratio('a'),
    scaleRatioB: ratio('b'),
    shiftChange: a?.a.shift != null && b?.a.shift != null ? b.a.shift - a.a.shift : null,
    same: withoutReport(a) === withoutReport(b),
  };
}
