import { calibrate } from '../calibrate/calibrate.ts';
import type { CalibrationImage } from '../calibrate/imageChunks.ts';
import { calibrationOptions, type CalibrationOverrides } from '../calibrate/presets.ts';
import type { PresetName } from '../calibrate/options.ts';
import type { Progress } from '../calibrate/progress.ts';
import { quantizedWeightsFile } from '../calibrate/weightsFile.ts';
import { compareLogits, type Comparison } from '../evaluate/compare.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Model } from '../model/load.ts';
import { createFloatRunner, createSimulation, type Runner } from '../simulate/simulate.ts';

/** One line of the paper's ablation (PTQ4ViT, table 3). */
export interface AblationRow {
  readonly weightBits: number;
  readonly activationBits: number;
  /** Scores weighted by the gradient, or cosine without. */
  readonly hessian: boolean;
  readonly softmaxTwin: boolean;
  readonly geluTwin: boolean;
  readonly comparison: Comparison;
}

export interface AblationInput {
  readonly calibration: readonly CalibrationImage[];
  /** Preprocessed uint8 `[height, width, 3]` each. */
  readonly evaluation: readonly Uint8Array[];
  readonly labels: readonly number[] | null;
  readonly preset: PresetName;
  readonly overrides: CalibrationOverrides;
  /** Bits of both operands, a block of eight rows each. */
  readonly bits: readonly number[];
}

export interface AblationControl {
  readonly onProgress?: (step: Progress) => void;
  readonly onRow?: (row: AblationRow) => void;
  readonly signal?: AbortSignal;
}

const SWITCHES = [false, true];

/** Calibrates and evaluates with every combination of Hessian-guided scores and twin ranges, at every width. */
export async function ablate(
  gpu: Gpu,
  model: Model,
  input: AblationInput,
  { onProgress, onRow, signal }: AblationControl = {},
): Promise<AblationRow[]> {
  const float = {
    logits: await runAll(await createFloatRunner(gpu, model), input.evaluation),
    classes: classesOf(model),
  };
  const combinations = input.bits.flatMap((bits) =>
    SWITCHES.flatMap((hessian) =>
      SWITCHES.flatMap((softmaxTwin) => SWITCHES.map((geluTwin) => ({ bits, hessian, softmaxTwin, geluTwin }))),
    ),
  );
  const rows: AblationRow[] = [];
  for (const [done, { bits, ...switches }] of combinations.entries()) {
    signal?.throwIfAborted();
    const options = calibrationOptions(input.preset, {
      ...input.overrides,
      weightBits: bits,
      activationBits: bits,
      metric: switches.hessian ? 'hessian' : 'cosine',
      softmax: switches.softmaxTwin ? 'twin' : 'uniform',
      gelu: switches.geluTwin ? 'twin' : 'uniform',
    });
    const result = await calibrate(gpu, model, input.calibration, options, {
      onProgress: (step) =>
        onProgress?.({
          stage: `${done + 1} of ${combinations.length}`,
          done: done * step.total + step.done,
          total: combinations.length * step.total,
        }),
      ...(signal ? { signal } : {}),
    });
    const simulation = await createSimulation(gpu, model, result.recipe, quantizedWeightsFile(result));
    const quantized = { logits: await runAll(simulation, input.evaluation), classes: float.classes };
    const comparison = compareLogits(float, quantized, input.labels);
    const row = { weightBits: bits, activationBits: bits, ...switches, comparison };
    rows.push(row);
    onRow?.(row);
  }
  return rows;
}

function classesOf({ network }: Model): number {
  return network.numClasses;
}

async function runAll(runner: Runner, images: readonly Uint8Array[]): Promise<Float32Array> {
  try {
    return await runner.logits(images);
  } finally {
    runner.destroy();
  }
}
