import type { CalibrationOptions } from './recipe.ts';

/** How a search covers the range of scales. */
export type PresetName = CalibrationOptions['preset'];

/** Settings that a caller may choose over those of a preset. */
export type CalibrationOverrides = Partial<Pick<CalibrationOptions, 'weightBits' | 'activationBits' | 'seed'>>;

const COMMON = { weightBits: 8, activationBits: 8, seed: 0, gradientSeed: 'fisher' } as const;

const PRESETS: Readonly<Record<PresetName, CalibrationOptions>> = {
  default: {
    ...COMMON,
    preset: 'default',
    metric: 'hessian',
    twin: true,
    twinBoundary: 'nearest',
    weightGranularity: 'channel',
    outerWeightBits: 'at-least-8-below-6',
    rounds: 3,
    search: 'coarse-to-fine',
    candidates: 64,
    alpha: 0.2,
    beta: 1.2,
  },
  paper: {
    ...COMMON,
    preset: 'paper',
    metric: 'hessian',
    twin: true,
    twinBoundary: 'published',
    weightGranularity: 'channel',
    outerWeightBits: 'same',
    rounds: 3,
    search: 'exhaustive',
    candidates: 100,
    alpha: 0.01,
    beta: 1.2,
  },
  base: {
    ...COMMON,
    preset: 'base',
    metric: 'cosine',
    twin: false,
    twinBoundary: 'nearest',
    weightGranularity: 'part',
    outerWeightBits: 'same',
    rounds: 1,
    search: 'exhaustive',
    candidates: 100,
    alpha: 0.5,
    beta: 1.2,
  },
};

export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[];

/**
 * The options of a preset with the caller's own in place.
 *
 * @throws RangeError when a width is not an integer in 2..8 or the seed is not an integer in 0..2^32 - 1
 */
export function calibrationOptions(preset: PresetName, overrides: CalibrationOverrides = {}): CalibrationOptions {
  const options = { ...PRESETS[preset], ...overrides };
  for (const field of ['weightBits', 'activationBits'] as const) {
    const bits = options[field];
    if (!Number.isInteger(bits) || bits < 2 || bits > 8) {
      throw new RangeError(`${field} must be an integer in 2..8, got ${bits}`);
    }
  }
  if (!Number.isInteger(options.seed) || options.seed < 0 || options.seed >= 2 ** 32) {
    throw new RangeError(`seed must be an integer in 0..4294967295, got ${options.seed}`);
  }
  return options;
}
