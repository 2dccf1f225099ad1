/** How a calibration chooses its quantizers: every option, its values and its meaning, in one table that all readers share. */

/** What a candidate is scored by (PTQ4ViT, section 3.3 and figure 5); lower is better, similarities are subtracted from 1. */
export const METRICS = [
  'hessian',
  'mse',
  'cosine',
  'pearson',
  'l1',
  'linear-weighted-mse',
  'square-weighted-mse',
] as const;
export type Metric = (typeof METRICS)[number];

/** The gradient at the logits that `hessian` propagates back. */
export const GRADIENT_SEEDS = ['fisher', 'pseudo-label', 'label', 'random-probe', 'perturbation'] as const;
export type GradientSeed = (typeof GRADIENT_SEEDS)[number];

/** `search` scores candidates; the others set every scale from the values of its operand alone. */
export const CALIBRATORS = ['search', 'min-max', 'moving-average', 'percentile', 'omse', 'aciq', 'entropy'] as const;
export type Calibrator = (typeof CALIBRATORS)[number];

/**
 * Quantizers of the values after softmax or GELU; `best` takes the one of the lowest score, `auto` twin ranges unless they are too
 * coarse, see `shapedFamilies`.
 */
export const SHAPED_QUANTIZERS = ['uniform', 'twin', 'log2', 'adaptive-log', 'auto', 'best', 'published-code'] as const;
export type ShapedQuantizer = (typeof SHAPED_QUANTIZERS)[number];

export const PRESET_NAMES = ['fast', 'default', 'best', 'paper', 'base', 'reference'] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

interface Word<W extends string, P extends boolean> {
  readonly kind: 'word';
  readonly words: readonly W[];
  readonly perLayer: P;
}

interface Numeric<P extends boolean> {
  readonly kind: 'integer' | 'number';
  readonly low: number;
  readonly high: number;
  readonly perLayer: P;
}

function word<const W extends string, const P extends boolean>(words: readonly W[], perLayer: P): Word<W, P> {
  return { kind: 'word', words, perLayer };
}

function integer<const P extends boolean>(low: number, high: number, perLayer: P): Numeric<P> {
  return { kind: 'integer', low, high, perLayer };
}

function number<const P extends boolean>(low: number, high: number, perLayer: P): Numeric<P> {
  return { kind: 'number', low, high, perLayer };
}

/** Every option but the preset: its values, and whether a single layer can have its own; docs/options.md tells what each does. */
export const OPTION_FIELDS = {
  weightBits: integer(2, 8, true),
  activationBits: integer(2, 8, true),
  outerWeightBits: word(['same', 'at-least-8-below-6'], false),
  seed: integer(0, 2 ** 32 - 1, false),
  calibrator: word(CALIBRATORS, true),
  percentile: number(50, 100, true),
  metric: word(METRICS, true),
  gradientSeed: word(GRADIENT_SEEDS, false),
  gradientDraws: integer(1, 4, false),
  augmentation: word(['none', 'mirror'], false),
  integerRange: word(['full', 'restricted'], true),
  activationOffset: word(['none', 'zero-point'], true),
  activationScaling: word(['static', 'per-token'], true),
  softmax: word(SHAPED_QUANTIZERS, true),
  gelu: word(SHAPED_QUANTIZERS, true),
  twinBoundary: word(['nearest', 'published'], true),
  weightGranularity: word(['tensor', 'part', 'channel', 'block'], true),
  weightRowBlocks: integer(1, 65_536, true),
  weightColumnBlocks: integer(1, 65_536, true),
  attentionGranularity: word(['tensor', 'head'], true),
  activationBlocks: integer(1, 65_536, true),
  rounds: integer(1, 1000, true),
  search: word(['exhaustive', 'coarse-to-fine'], true),
  candidates: integer(1, 1_000_000, true),
  alpha: number(0, 1000, true),
  beta: number(0, 1000, true),
  folding: word(['none', 'reparameterize', 'smooth'], false),
  foldingStrength: number(0, 1, false),
  compensation: word(['none', 'gptq', 'ridge-gptq'], true),
  rounding: word(['nearest', 'refined'], true),
  biasCorrection: word(['none', 'layer', 'network'], false),
} as const;

type FieldValue<F> = F extends { readonly words: readonly (infer W)[] } ? W : number;
type Fields = typeof OPTION_FIELDS;

/** The options of one layer: of the whole calibration with those of the layer in place. */
export type LayerOptions = { readonly [K in keyof Fields]: FieldValue<Fields[K]> };

/** Options that a single layer can have for itself. */
export type LayerOverrides = Partial<{
  readonly [K in keyof Fields as Fields[K]['perLayer'] extends true ? K : never]: FieldValue<Fields[K]>;
}>;

/** Options of the layers whose names match `pattern`, where `*` stands for any characters; a later rule wins. */
export interface LayerRule {
  readonly pattern: string;
  readonly options: LayerOverrides;
}

export interface CalibrationOptions extends LayerOptions {
  readonly preset: PresetName;
  readonly layers: readonly LayerRule[];
}

/** `options` of the layer `name`: those of every rule whose pattern matches, in order, over those of the calibration. */
export function layerOptions(options: CalibrationOptions, name: string): LayerOptions {
  return options.layers
    .filter(({ pattern }) => matches(pattern, name))
    .reduce<LayerOptions>((combined, rule) => ({ ...combined, ...rule.options }), options);
}

/** Whether `name` is `pattern` with every `*` in it standing for any run of characters. */
export function matches(pattern: string, name: string): boolean {
  const escaped = pattern.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`).test(name);
}
