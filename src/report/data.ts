import type { LayerReport } from '../calibrate/layerReport.ts';
import type { CalibrationOptions } from '../calibrate/options.ts';
import type { LayerRecipe, Recipe } from '../calibrate/recipe.ts';
import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';
import type { RunData } from './readRun.ts';

/** A quantizer as it is shown: many scales are told by their spread. */
export interface OperandView {
  /** With the middle one of its scales alone. */
  readonly quantizer: LeftQuantizer | RightQuantizer;
  /** Null for quantizers without scales. */
  readonly scales: {
    readonly count: number;
    readonly low: number;
    readonly middle: number;
    readonly high: number;
  } | null;
  /** The twin shift; null without twin ranges. */
  readonly shift: number | null;
}

export interface LayerView {
  readonly name: string;
  readonly unit: string;
  readonly a: OperandView;
  readonly b: OperandView;
  readonly score: number;
  readonly maxShift: number | null;
  /** Null where the run kept none. */
  readonly report: LayerReport | null;
}

/** A recipe and what is known of its run, as a report shows it. */
export interface RecipeView {
  /** What it is called: a folder, for the reader. */
  readonly label: string;
  readonly architecture: string;
  readonly weightsSha256: string;
  readonly options: CalibrationOptions;
  readonly images: number;
  readonly meanWeightBits: number;
  readonly meanActivationBits: number;
  readonly layers: readonly LayerView[];
  readonly run: Omit<RunData, 'layerReports'> | null;
}

/** What a report shows of a recipe. Reports of layers that the recipe lacks are left out. */
export function recipeView(recipe: Recipe, label: string, run: RunData | null): RecipeView {
  const { layerReports, ...rest } = run ?? { layerReports: [] };
  const reports = new Map(layerReports.map((report) => [report.name, report]));
  return {
    label,
    architecture: recipe.model.architecture,
    weightsSha256: recipe.model.weightsSha256,
    options: recipe.options,
    images: recipe.images.length,
    meanWeightBits: recipe.meanWeightBits,
    meanActivationBits: recipe.meanActivationBits,
    layers: recipe.layers.map((layer) => layerView(layer, reports.get(layer.name) ?? null)),
    run: run && (rest as Omit<RunData, 'layerReports'>),
  };
}

/** One layer of a recipe with its report. */
export function layerView(layer: LayerRecipe, report: LayerReport | null): LayerView {
  const { name, a, b, score, maxShift } = layer;
  return {
    name,
    unit: report?.unit ?? unitOf(name),
    a: operandView(a),
    b: operandView(b),
    score,
    maxShift: maxShift ?? null,
    report,
  };
}

function operandView(quantizer: LeftQuantizer | RightQuantizer): OperandView {
  const shift = 'shift' in quantizer ? quantizer.shift : null;
  if (!('scales' in quantizer)) {
    const scale =
      quantizer.type === 'twin-gelu' ? quantizer.scaleR2 : quantizer.type === 'levels' ? quantizer.step : null;
    return { quantizer, scales: scale === null ? null : { count: 1, low: scale, middle: scale, high: scale }, shift };
  }
  const sorted = quantizer.scales.toSorted((x, y) => x - y);
  const middle = sorted[sorted.length >> 1] as number;
  const scales = { count: sorted.length, low: sorted[0] as number, middle, high: sorted.at(-1) as number };
  return { quantizer: { ...quantizer, scales: [middle] }, scales, shift };
}

/** `blocks.3` of `blocks.3.mlp.fc1`; layers outside blocks are units of their own. */
function unitOf(name: string): string {
  return /^(layers\.\d+\.)?(blocks\.\d+|downsample)/.exec(name)?.[0] ?? name;
}
