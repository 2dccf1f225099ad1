import { OPTION_FIELDS, type CalibrationOptions } from '../calibrate/options.ts';
import { choice, integer, optionalNumber, type Flag, type Flags } from './flags.ts';

type FieldName = keyof typeof OPTION_FIELDS;

const HELP: Readonly<Record<FieldName, string>> = {
  weightBits: 'bits of a weight',
  activationBits: 'bits of an activation',
  outerWeightBits:
    'weights of the patch embedding and the head: as the others, or 8 bits when the others have fewer than 6',
  seed: 'seed of gradient draws',
  calibrator: 'how scales are found',
  percentile: 'share of magnitudes, in percent, that the calibrator percentile does not clip',
  metric: 'what a search scores candidates by',
  gradientSeed: 'gradient at the logits for the metric hessian',
  gradientDraws: 'draws of the gradient seeds fisher and random-probe whose squares are averaged',
  augmentation: 'calibration images as they are, or each of them mirrored as well',
  integerRange: 'codes -q..q-1, or -(q-1)..q-1',
  activationOffset: 'codes of linear layer inputs without offset, or with one that the bias takes up',
  activationScaling: 'scales from calibration, or of every token as it comes',
  softmax: 'quantizer of attention probabilities',
  gelu: 'quantizer of GELU outputs',
  twinBoundary: 'which range of a twin quantizer a probability takes',
  weightGranularity: 'what of a weight has a scale of its own',
  weightRowBlocks: 'runs of output features of the weight granularity block',
  weightColumnBlocks: 'runs of input features of the weight granularity block',
  attentionGranularity: 'what of q, k, v has a scale of its own',
  activationBlocks: 'runs of input features of a linear layer with scales of their own',
  rounds: 'alternations between the two operands of a product',
  search: 'all candidates on all rows, or few of them on sampled rows first',
  candidates: 'candidates of one operand in a round',
  alpha: 'smallest candidate scale, relative to the one that holds the largest value',
  beta: 'largest candidate scale',
  folding: 'scales of single channels, moved from LayerNorm outputs and values into weights before the search',
  foldingStrength: 'how much of the differences between channels folding moves into weights',
  compensation: 'rounding errors of weights made up for by later columns',
  rounding: 'weight codes nearest, or flipped one by one where the score falls',
  biasCorrection: 'mean output errors taken up by biases',
};

type Kebab<S extends string> = S extends `${infer C}${infer Rest}`
  ? C extends Lowercase<C>
    ? `${C}${Kebab<Rest>}`
    : `-${Lowercase<C>}${Kebab<Rest>}`
  : S;

/** `--weight-bits` for `weightBits`, and so on: a flag for every option of a calibration; absent ones are those of the preset. */
export type OptionFlags<Without extends FieldName = never> = {
  readonly [K in Exclude<FieldName, Without> as Kebab<K>]: Flag<string | number | undefined>;
};

/** @param without options that the command sets itself */
export function optionFlags<Without extends FieldName = never>(without: readonly Without[] = []): OptionFlags<Without> {
  const names = (Object.keys(OPTION_FIELDS) as FieldName[]).filter((name) => !without.some((other) => other === name));
  return Object.fromEntries(names.map((name) => [flagName(name), optionFlag(name)])) as unknown as OptionFlags<Without>;
}

/** The options that were given as flags. */
export function optionsGiven(
  values: Readonly<Record<string, unknown>>,
  given: ReadonlySet<string>,
): Partial<CalibrationOptions> {
  const names = (Object.keys(OPTION_FIELDS) as FieldName[]).filter((name) => given.has(flagName(name)));
  return Object.fromEntries(names.map((name) => [name, values[flagName(name)]]));
}

export function flagName(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function optionFlag(name: FieldName): Flags[string] {
  const field = OPTION_FIELDS[name];
  const help = HELP[name];
  const flag =
    field.kind === 'word'
      ? choice<string>(help, '', field.words)
      : field.kind === 'integer'
        ? integer(help, 0, field.low, field.high)
        : optionalNumber(help, field.low, field.high);
  return { ...flag, absent: undefined };
}
