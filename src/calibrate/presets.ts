import { OPTION_FIELDS, type CalibrationOptions, type PresetName } from './options.ts';

/** Settings that a caller may choose over those of a preset. */
export type CalibrationOverrides = Partial<Omit<CalibrationOptions, 'preset'>>;

const COMMON: Omit<CalibrationOptions, 'preset'> = {
  weightBits: 8,
  activationBits: 8,
  outerWeightBits: 'same',
  seed: 0,
  calibrator: 'search',
  percentile: 99.99,
  metric: 'hessian',
  gradientSeed: 'fisher',
  gradientDraws: 1,
  augmentation: 'none',
  integerRange: 'full',
  activationOffset: 'none',
  activationScaling: 'static',
  softmax: 'twin',
  gelu: 'twin',
  twinBoundary: 'nearest',
  weightGranularity: 'channel',
  weightRowBlocks: 1,
  weightColumnBlocks: 1,
  attentionGranularity: 'head',
  activationBlocks: 1,
  rounds: 3,
  search: 'exhaustive',
  candidates: 100,
  alpha: 0.01,
  beta: 1.2,
  folding: 'none',
  foldingStrength: 1,
  compensation: 'none',
  rounding: 'nearest',
  biasCorrection: 'none',
  layers: [],
};

const DEFAULT: Omit<CalibrationOptions, 'preset'> = {
  ...COMMON,
  outerWeightBits: 'at-least-8-below-6',
  search: 'coarse-to-fine',
  candidates: 16,
  rounds: 2,
  alpha: 0.2,
  softmax: 'auto',
  gelu: 'auto',
  folding: 'reparameterize',
  compensation: 'gptq',
  rounding: 'refined',
  biasCorrection: 'layer',
};

const PRESETS: Readonly<Record<PresetName, Omit<CalibrationOptions, 'preset'>>> = {
  fast: { ...DEFAULT, rounds: 1, rounding: 'nearest' },
  default: DEFAULT,
  best: { ...DEFAULT, candidates: 32, gradientDraws: 4, augmentation: 'mirror' },
  /** PTQ4ViT as published, with one scale an output channel. */
  paper: { ...COMMON, twinBoundary: 'published' },
  /** Base PTQ of the paper. */
  base: {
    ...COMMON,
    metric: 'cosine',
    softmax: 'uniform',
    gelu: 'uniform',
    weightGranularity: 'part',
    rounds: 1,
    alpha: 0.5,
  },
  /** The float quantizers of the published code, which differ from the paper. */
  reference: {
    ...COMMON,
    softmax: 'published-code',
    gelu: 'published-code',
    weightGranularity: 'part',
    layers: [{ pattern: 'patch_embed', options: { weightGranularity: 'channel' } }],
  },
};

/**
 * What a folding moves into weights of fewer bits than their inputs: all of it would cost them more than the inputs gain (DeiT-Tiny
 * W4A8, 156 photos: KL 0.091 with all, 0.072 with the half, 0.069 with none but offsets).
 */
const STRENGTH_FOR_FEWER_BITS = 0.3;

/**
 * The options of a preset with the caller's own in place. Where weights have fewer bits than activations, foldings move less.
 *
 * @throws RangeError naming the option whose value is none of its own, such as a width that is not an integer in 2..8
 */
export function calibrationOptions(preset: PresetName, overrides: CalibrationOverrides = {}): CalibrationOptions {
  const given = { ...PRESETS[preset], ...overrides };
  const foldingStrength =
    overrides.foldingStrength ??
    (given.weightBits < given.activationBits ? STRENGTH_FOR_FEWER_BITS : given.foldingStrength);
  const options: CalibrationOptions = { ...given, foldingStrength, preset };
  for (const [name, field] of Object.entries(OPTION_FIELDS)) {
    const value = options[name as keyof typeof OPTION_FIELDS];
    if (field.kind === 'integer' || field.kind === 'number') {
      const whole = field.kind === 'number' || Number.isInteger(value);
      if (typeof value !== 'number' || !whole || value < field.low || value > field.high) {
        const what = field.kind === 'integer' ? 'an integer' : 'a number';
        throw new RangeError(`${name} must be ${what} in ${field.low}..${field.high}, got ${value}`);
      }
    } else if (field.kind === 'word') {
      const words: readonly string[] = field.words;
      if (!words.includes(value as string)) {
        throw new RangeError(`${name} must be one of ${words.join(', ')}, got ${value}`);
      }
    }
  }
  return options;
}
