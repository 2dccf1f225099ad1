import { calibrate } from '../../src/calibrate/calibrate.ts';
import type { PresetName } from '../../src/calibrate/options.ts';
import { calibrationOptions, type CalibrationOverrides } from '../../src/calibrate/presets.ts';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import { compareLogits, type Comparison } from '../../src/evaluate/compare.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Model } from '../../src/model/load.ts';
import { createFloatRunner, createSimulation } from '../../src/simulate/simulate.ts';
import { integerLogits, modelFileOf } from '../support/integerOnly.ts';
import { note, progressLines } from './progressLines.ts';
import type { EvaluationSet, ImageSet, Subject } from './subject.ts';

/** What came of a calibration. */
export interface Calibrated {
  readonly model: Model;
  readonly title: string;
  readonly recipe: Recipe;
  /** Bytes of `weights.safetensors`. */
  readonly weights: Uint8Array;
  readonly seconds: number;
  readonly stages: Readonly<Record<string, number>>;
  readonly candidates: number;
  readonly candidateMacs: number;
  readonly peakDeviceBytes: number;
}

export interface Trial {
  readonly preset: PresetName;
  readonly overrides: CalibrationOverrides;
  /** Instead of the calibration photos of the subject. */
  readonly images?: ImageSet;
}

/** Calibrates and evaluates; what one section has done, another gets without doing it again. */
export interface Trials {
  readonly calibrated: (subject: Subject, trial: Trial) => Promise<Calibrated>;
  /** The quantize-dequantize evaluation against float. */
  readonly compared: (of: Calibrated, evaluation: EvaluationSet) => Promise<Comparison>;
  /** Integer-only inference from the exported model file against float. */
  readonly comparedInteger: (of: Calibrated, evaluation: EvaluationSet) => Promise<Comparison>;
  /** Images without labels, with what the float network makes of them. */
  readonly withFloat: (model: Model, set: ImageSet) => Promise<EvaluationSet>;
}

export function trialsOn(gpu: Gpu): Trials {
  const calibrations = new Map<string, Promise<Calibrated>>();
  const comparisons = new Map<Calibrated, Map<string, Promise<Comparison>>>();
  return {
    calibrated(subject, trial) {
      const set = trial.images ?? subject.calibration;
      const key = JSON.stringify([subject.name, trial.preset, Object.entries(trial.overrides).sort(), set.name]);
      return once(calibrations, key, () => runCalibration(gpu, subject, trial, set));
    },
    compared(of, evaluation) {
      const known = comparisons.get(of) ?? new Map<string, Promise<Comparison>>();
      comparisons.set(of, known);
      return once(known, evaluation.name, () => simulated(gpu, of, evaluation));
    },
    async comparedInteger(of, evaluation) {
      const file = await modelFileOf(of.recipe, of.weights);
      const logits = await integerLogits(gpu, file, evaluation.images);
      return noted(`${of.title}, integers only`, against(evaluation, logits));
    },
    async withFloat(model, set) {
      const runner = await createFloatRunner(gpu, model);
      const float = await runner.logits(set.images.map(({ rgb }) => rgb));
      runner.destroy();
      return { ...set, labels: null, float };
    },
  };
}

async function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const made = known.get(key) ?? make();
  known.set(key, made);
  return made;
}

async function runCalibration(gpu: Gpu, subject: Subject, trial: Trial, set: ImageSet): Promise<Calibrated> {
  const options = calibrationOptions(trial.preset, trial.overrides);
  const title = `${subject.name}, ${titleOf(trial)}, ${set.images.length} images of ${set.name}, seed ${options.seed}`;
  note(`${title}: begins`);
  const started = performance.now();
  const result = await calibrate(gpu, subject.model, set.images, options, { onProgress: progressLines(title) });
  const seconds = (performance.now() - started) / 1000;
  note(`${title}: calibrated in ${seconds.toFixed(1)} s`);
  const { recipe, stages, candidates, candidateMacs, peakDeviceBytes } = result;
  const weights = quantizedWeightsFile(result);
  return { model: subject.model, title, recipe, weights, seconds, stages, candidates, candidateMacs, peakDeviceBytes };
}

async function simulated(gpu: Gpu, of: Calibrated, evaluation: EvaluationSet): Promise<Comparison> {
  const simulation = await createSimulation(gpu, of.model, of.recipe, of.weights);
  const logits = await simulation.logits(evaluation.images.map(({ rgb }) => rgb));
  simulation.destroy();
  return noted(`${of.title}, ${evaluation.images.length} images of ${evaluation.name}`, against(evaluation, logits));
}

function against({ images, labels, float }: EvaluationSet, logits: Float32Array): Comparison {
  const classes = float.length / images.length;
  return compareLogits({ logits: float, classes }, { logits, classes }, labels);
}

function noted(what: string, comparison: Comparison): Comparison {
  note(`${what}: ${comparisonCells(comparison).join(' | ')}`);
  return comparison;
}

/** `W6A8 default, calibrator omse`: the widths and the preset, with what was chosen over it. */
export function titleOf({ preset, overrides }: Trial): string {
  const { weightBits = 8, activationBits = 8, seed: _seed, ...others } = overrides;
  const chosen = Object.entries(others).map(
    ([name, value]) => `, ${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`,
  );
  return `W${weightBits}A${activationBits} ${preset}${chosen.join('')}`;
}

export const COMPARISON_HEADER = ['agreement, %', 'top-1 drop, points', 'KL, nats'];

/** A comparison as cells under `COMPARISON_HEADER`. */
export function comparisonCells({ agreement, topOneDropPoints, klDivergence }: Comparison): string[] {
  return [
    (100 * agreement).toFixed(2),
    topOneDropPoints === null ? 'no labels' : topOneDropPoints.toFixed(2),
    klDivergence.toFixed(4),
  ];
}
