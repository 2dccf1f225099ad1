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
  /** Widths to run, such as `W8A8`; all when undefined. */
  readonly widths: readonly string[] | undefined;
}

/** Prints its tables and returns how many claims do not hold. */
export type Section = (setting: Setting) => Promise<number>;

/** Whether a section is to run these bits of weights and activations. */
export function isWanted({ widths }: Setting, weightBits: number, activationBits: number): boolean {
  return widths?.includes(`W${weightBits}A${activationBits}`) ?? true;
}

/** The seed of what is run once. */
export function firstSeed({ seeds }: Setting): number {
  return seeds[0] as number;
}
