import type { Gpu } from '../../src/gpu/device.ts';
import type { PresetName } from '../../src/calibrate/options.ts';
import type { Subject } from './subject.ts';
import type { Trials } from './trials.ts';

/** What a section of the calibration's acceptance works with. */
export interface Setting {
  readonly gpu: Gpu;
  readonly trials: Trials;
  /** DeiT-Tiny, loaded when first asked for. */
  readonly tiny: () => Promise<Subject>;
  /** ViT-Tiny with its massive outliers. */
  readonly hard: () => Promise<Subject>;
  readonly seeds: readonly number[];
  /** Calibration images of a run; 32 in every claim. */
  readonly count: number;
  readonly ablationPreset: PresetName;
  /** Rows of accuracy and outliers to run, such as `W8A8`; all when undefined. */
  readonly widths: readonly string[] | undefined;
}

/** Prints its tables and returns how many claims do not hold. */
export type Section = (setting: Setting) => Promise<number>;

/** The seed of what is run once. */
export function firstSeed({ seeds }: Setting): number {
  return seeds[0] as number;
}
