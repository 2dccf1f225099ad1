/** The steps of the table of docs/models.md, each tried on the tiny random model of one row. */
import { calibrate } from '../../src/calibrate/calibrate.ts';
import { describeModel } from '../../src/calibrate/describeModel.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import { exportOnnx } from '../../src/export/onnx/exportOnnx.ts';
import { BufferPool } from '../../src/gpu/buffers.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { sha256 } from '../../src/io/sha256.ts';
import { forwardNetwork, ParameterStore } from '../../src/model/execute.ts';
import { loadModel, type Model } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { concatenateBytes } from '../../src/node/concatenateBytes.ts';
import { createFloatRunner, createSimulation, type Runner } from '../../src/simulate/simulate.ts';
import { inLayout, type LayoutName } from './checkpointLayouts.ts';
import type { Golden } from './goldenCheckpoint.ts';
import { integerLogits, modelFileOf } from './integerOnly.ts';
import { STEPS, type Step, type TableRow } from './modelsTable.ts';
import { runOnnx } from './runOnnx.ts';

/** Of the float logits against PyTorch's: noise power over signal power. */
const MOST_NMSE = 1e-8;
/** Signal over noise, dB: 8 bits of random networks of 4 to 12 features against float; ONNX against the same quantized network here. */
const LEAST_DB = { mixed: 20, integers: 20, onnx: 40 };

/** What the row of the first layout gave: those of the same model must give the same. */
export interface Reference {
  layers?: string;
  recipe?: string;
}

/** What the steps of a row leave for those after them. */
interface Row {
  readonly gpu: Gpu;
  readonly golden: Golden;
  readonly layout: LayoutName;
  readonly reference: Reference;
  readonly images: readonly CalibrationImage[];
  model?: Model;
  float?: Float32Array;
  recipe?: Recipe;
  weights?: Uint8Array;
  mixed?: Float32Array;
}

const steps: Readonly<Record<Step, (row: Row) => Promise<string>>> = {
  async loads(row) {
    const { config, processor, tensors } = inLayout(row.golden.config, row.golden.tensors, row.layout);
    row.model = await loadModel({
      configJson: JSON.stringify(config),
      preprocessorJson: processor === undefined ? undefined : JSON.stringify(processor),
      weights: writeSafetensors(tensors),
    });
    const { layers } = describeModel(row.model, calibrationOptions('default'));
    same(row.reference, 'layers', JSON.stringify(layers));
    return 'yes';
  },

  async 'float golden'({ gpu, golden, ...row }) {
    const model = needed(row.model);
    using pool = new BufferPool(gpu.device);
    using parameters = new ParameterStore(pool, model);
    const size = 3 * model.config.imageSize ** 2;
    const images = golden.pixels.length / size;
    const patches = new Float32Array(golden.pixels.length);
    for (let i = 0; i < images; i++) {
      patches.set(unfoldPatches(golden.pixels.subarray(i * size, (i + 1) * size), model.config), i * size);
    }
    const context = { device: gpu.device, pool, parameters };
    const error = noiseOver(golden.logits, await forwardNetwork(context, model.network, patches, images));
    if (!(error <= MOST_NMSE)) throw new Error(`NMSE ${error.toExponential(0)} is more than ${MOST_NMSE}`);
    return `NMSE ${error.toExponential(0)}`;
  },

  async quantizes(row) {
    const model = needed(row.model);
    const result = await calibrate(row.gpu, model, row.images, calibrationOptions('default'));
    same(row.reference, 'recipe', recipeText(result.recipe).replace(model.weightsSha256, ''));
    row.recipe = result.recipe;
    row.weights = quantizedWeightsFile(result);
    return 'yes';
  },

  async mixed(row) {
    const { gpu, images } = row;
    const [model, recipe] = [needed(row.model), needed(row.recipe)];
    row.float = await logitsOf(createFloatRunner(gpu, model), images);
    row.mixed = await logitsOf(createSimulation(gpu, model, recipe, needed(row.weights)), images);
    return decibels(row.float, row.mixed, LEAST_DB.mixed);
  },

  async 'integer-only'({ gpu, images, ...row }) {
    const file = await modelFileOf(needed(row.recipe), needed(row.weights));
    const logits = await integerLogits(gpu, file, images);
    const engine = createReferenceEngine(file);
    const integers = await engine.run(concatenateBytes(images.map(({ rgb }) => rgb)), images.length);
    if (!integers.every((value, i) => Object.is(Math.fround(value * engine.logitScale), logits[i]))) {
      throw new Error('the device and the engine in TypeScript differ');
    }
    return decibels(needed(row.float), logits, LEAST_DB.integers);
  },

  async ONNX({ images, ...row }) {
    const [model, recipe, weights] = [needed(row.model), needed(row.recipe), needed(row.weights)];
    const file = exportOnnx({ recipe, weights, weightsFile: 'weights.safetensors', version: 'table' });
    const { preprocessing, imageSize } = model.config;
    const size = 3 * imageSize ** 2;
    const pixels = new Float32Array(images.length * size);
    images.forEach(({ rgb }, i) => pixels.set(normalizePixels(rgb, preprocessing), i * size));
    return decibels(needed(row.mixed), await runOnnx(file, model, pixels), LEAST_DB.onnx);
  },
};

/** Tries every step on one checkpoint; a step that throws leaves its reason, and `-` in those that need what it would have made. */
export async function trySteps(
  gpu: Gpu,
  golden: Golden,
  layout: LayoutName,
  reference: Reference,
): Promise<TableRow['cells']> {
  const row: Row = { gpu, golden, layout, reference, images: await drawImages(golden.config.imageSize) };
  const cells = {} as Record<Step, string>;
  for (const step of STEPS) {
    try {
      cells[step] = await steps[step](row);
    } catch (error) {
      cells[step] = error instanceof Needed ? '-' : `no: ${(error as Error).message.replaceAll(/[|\n]/g, ' ')}`;
    }
  }
  return cells;
}

/** A step before did not leave what this one needs. */
class Needed extends Error {}

function needed<T>(value: T | undefined): T {
  if (value === undefined) throw new Needed();
  return value;
}

function same(reference: Reference, key: keyof Reference, text: string): void {
  reference[key] ??= text;
  if (reference[key] !== text) throw new Error(`${key} differ from those of the first layout`);
}

/** Eight pictures of noise, each another one. */
async function drawImages(imageSize: number): Promise<CalibrationImage[]> {
  let state = 1;
  const images: CalibrationImage[] = [];
  for (let i = 0; i < 8; i++) {
    const rgb = Uint8Array.from({ length: 3 * imageSize ** 2 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    });
    images.push({ file: `${i}.png`, sha256: await sha256(rgb), rgb });
  }
  return images;
}

async function logitsOf(opened: Promise<Runner>, images: readonly CalibrationImage[]): Promise<Float32Array> {
  const runner = await opened;
  try {
    return await runner.logits(images.map(({ rgb }) => rgb));
  } finally {
    runner.destroy();
  }
}

/** Power of the error over that of the signal. */
function noiseOver(signal: Float32Array, found: Float32Array): number {
  let [error, power] = [0, 0];
  signal.forEach((value, i) => {
    error += (value - (found[i] as number)) ** 2;
    power += value ** 2;
  });
  return error / power;
}

function decibels(signal: Float32Array, found: Float32Array, least: number): string {
  const value = -10 * Math.log10(noiseOver(signal, found));
  if (!(value >= least)) throw new Error(`${value.toFixed(0)} dB, less than ${least}`);
  return `${value.toFixed(0)} dB`;
}
