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

/** Quantizers of the values after softmax or GELU; `best` takes the one of the lowest score. */
export const SHAPED_QUANTIZERS = ['uniform', 'twin', 'log2', 'adaptive-log', 'best', 'published-code'] as const;
export type ShapedQuantizer = (typeof SHAPED_QUANTIZERS)[number];

export const PRESET_NAMES = ['fast', 'default', 'best', 'paper', 'base', 'reference'] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

interface Word<W extends string, P extends boolean> {
  readonly kind: 'word';
  readonly words: readonly W[];
  readonly help: string;
  readonly perLayer: P;
}

interface Numeric<P extends boolean> {
  readonly kind: 'integer' | 'number';
  readonly low: number;
  readonly high: number;
  readonly help: string;
  readonly perLayer: P;
}

function word<const W extends string, const P extends boolean>(
  words: readonly W[],
  perLayer: P,
  help: string,
): Word<W, P> {
  return { kind: 'word', words, help, perLayer };
}

function integer<const P extends boolean>(low: number, high: number, perLayer: P, help: string): Numeric<P> {
  return { kind: 'integer', low, high, help, perLayer };
}

function number<const P extends boolean>(low: number, high: number, perLayer: P, help: string): Numeric<P> {
  return { kind: 'number', low, high, help, perLayer };
}

/** Every option but the preset: its values, whether a single layer can have its own, and what it does. */
export const OPTION_FIELDS = {
  weightBits: integer(2, 8, true, 'bits of a weight'),
  activationBits: integer(2, 8, true, 'bits of an activation'),
  outerWeightBits: word(
    ['same', 'at-least-8-below-6'],
    false,
    'weights of the patch embedding and the head: as the others, or 8 bits when the others have fewer than 6',
  ),
  seed: integer(0, 2 ** 32 - 1, false, 'seed of gradient draws'),
  calibrator: word(CALIBRATORS, true, 'how scales are found'),
  percentile: number(50, 100, true, 'share of magnitudes, in percent, that the calibrator percentile does not clip'),
  metric: word(METRICS, true, 'what a search scores candidates by'),
  gradientSeed: word(GRADIENT_SEEDS, false, 'gradient at the logits for the metric hessian'),
  gradientDraws: integer(1, 4, false, 'draws of the gradient seeds fisher and random-probe whose squares are added'),
  integerRange: word(['full', 'restricted'], true, 'codes -q..q-1, or -(q-1)..q-1'),
  activationOffset: word(
    ['none', 'zero-point'],
    true,
    'codes of linear layer inputs without offset, or with one that the bias takes up',
  ),
  activationScaling: word(['static', 'per-token'], true, 'scales from calibration, or of every token as it comes'),
  softmax: word(SHAPED_QUANTIZERS, true, 'quantizer of attention probabilities'),
  gelu: word(SHAPED_QUANTIZERS, true, 'quantizer of GELU outputs'),
  twinBoundary: word(['nearest', 'published'], true, 'which range of a twin quantizer a probability takes'),
  weightGranularity: word(['tensor', 'part', 'channel', 'block'], true, 'what of a weight has a scale of its own'),
  weightRowBlocks: integer(1, 65_536, true, 'runs of output features of the weight granularity block'),
  weightColumnBlocks: integer(1, 65_536, true, 'runs of input features of the weight granularity block'),
  attentionGranularity: word(['tensor', 'head'], true, 'what of q, k, v has a scale of its own'),
  activationBlocks: integer(1, 65_536, true, 'runs of input features of a linear layer with scales of their own'),
  rounds: integer(1, 1000, true, 'alternations between the two operands of a product'),
  search: word(
    ['exhaustive', 'coarse-to-fine'],
    true,
    'all candidates on all rows, or few of them on sampled rows first',
  ),
  candidates: integer(1, 1_000_000, true, 'candidates of one operand in a round'),
  alpha: number(0, 1000, true, 'smallest candidate scale, relative to the one that holds the largest value'),
  beta: number(0, 1000, true, 'largest candidate scale'),
  folding: word(
    ['none', 'reparameterize', 'smooth'],
    false,
    'scales of single channels, moved from LayerNorm outputs and values into weights before the search',
  ),
  compensation: word(['none', 'gptq', 'ridge-gptq'], true, 'rounding errors of weights made up for by later columns'),
  rounding: word(['nearest', 'refined'], true, 'weight codes nearest, or flipped one by one where the score falls'),
  biasCorrection: word(['none', 'layer', 'network'], false, 'mean output errors taken up by biases'),
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
