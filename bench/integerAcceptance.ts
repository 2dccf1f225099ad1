/**
 * The claims of integer-only inference on whole models and all real images: size of the model file, accuracy, the same bits on
 * every adapter, models with outliers. `npm run acceptance` builds and runs this after bench/acceptance.ts.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { driverEnvironment, driverFile } from '../scripts/setup/drivers.js';
import { calibrate } from '../src/calibrate/calibrate.ts';
import type { CalibrationImage } from '../src/calibrate/imageChunks.ts';
import { calibrationOptions, type CalibrationOverrides } from '../src/calibrate/presets.ts';
import type { Recipe } from '../src/calibrate/recipe.ts';
import { recipeText } from '../src/calibrate/recipeText.ts';
import { quantizedWeightsFile } from '../src/calibrate/weightsFile.ts';
import { compareLogits, type Comparison } from '../src/evaluate/compare.ts';
import type { Gpu } from '../src/gpu/device.ts';
import { createReferenceEngine } from '../src/infer/referenceEngine.ts';
import { createSession, type SessionOptions } from '../src/infer/session.ts';
import { concatenateBytes } from '../src/node/concatenateBytes.ts';
import { describeVariant, matmulVariants } from '../src/kernels/matmulVariant.ts';
import type { Model } from '../src/model/load.ts';
import { loadModelFolder } from '../src/node/modelFolder.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { loadRecipeFolder } from '../src/node/recipeFolder.ts';
import { createFloatRunner, createSimulation } from '../src/simulate/simulate.ts';
import { runInChromium } from '../test/support/browserSession.ts';
import { crcOf } from '../test/support/logitsCrc.ts';
import { labelledImages, realData, SAMPLE, SAMPLE_SWIN } from './support/data.ts';
import { captureTensor } from './support/captureTensor.ts';
import { integerLogits, modelFileOf } from './support/integerOnly.ts';
import { NONLINEAR_HEADER, nonlinearCells, nonlinearTable } from './support/nonlinearTable.ts';
import { fc1Input, plantOutliers } from './support/plantOutliers.ts';
import { atLeast, atMost, printClaims, printTable, yes, type Claim } from './support/table.ts';

interface Photos {
  readonly images: readonly CalibrationImage[];
  readonly labels: readonly number[];
}

/** A model with its recipe and model file, with all that is compared with it. */
interface Exported {
  readonly model: Model;
  readonly recipe: Recipe;
  readonly weights: Uint8Array;
  readonly bytes: Uint8Array;
}

/** What a section works with; models are calibrated when a section first asks for them. */
interface Bench {
  readonly gpu: Gpu;
  readonly tiny: () => Promise<Exported>;
  readonly hard: () => Promise<Exported>;
  readonly few: () => Promise<readonly CalibrationImage[]>;
  /** Evaluation photos as preprocessed for a model. */
  readonly photos: (model: Model) => Promise<Photos>;
}

const SECTIONS: Readonly<Record<string, (bench: Bench) => Promise<number>>> = {
  size: async ({ gpu, tiny, few }) => checkSize(gpu, await tiny(), await few()),
  accuracy: async ({ gpu, tiny, photos }) => {
    const exported = await tiny();
    return checkAccuracy(gpu, exported, await photos(exported.model));
  },
  bits: async ({ gpu, tiny, photos }) => {
    const { model, bytes } = await tiny();
    return checkBits(gpu, bytes, (await photos(model)).images.slice(0, 16));
  },
  outliers: async ({ gpu, hard, photos }) => {
    const exported = await hard();
    return checkOutliers(gpu, exported, await photos(exported.model));
  },
  planted: async ({ gpu }) => checkPlanted(gpu),
  swin: async ({ gpu }) => checkSwin(gpu),
  nonlinear: async ({ gpu, tiny, photos }) => {
    const exported = await tiny();
    return printNonlinear(gpu, exported, await photos(exported.model));
  },
};

const USAGE = `usage: node dist/bench/integerAcceptance.js [--recipes <folder>] [${Object.keys(SECTIONS).join('|')} ...]
  --recipes  folder with recipes deit-w8a8 and vit-w8a8 that "twinshift quantize" wrote; without it they are made`;

async function main(args: readonly string[]): Promise<number> {
  const given = args[0] === '--recipes' ? args[1] : undefined;
  const names = given === undefined ? args : args.slice(2);
  const unknown = names.filter((name) => !(name in SECTIONS));
  const data = realData();
  if (unknown.length > 0 || data === undefined) {
    console.error(data === undefined ? 'set TWINSHIFT_DATA to the folder of the real models and photos' : USAGE);
    return 2;
  }
  const { gpu, close } = await openNodeGpu();
  try {
    console.log(`\n# Integer-only inference on ${gpu.adapter.description}`);
    const bench = benchOf(gpu, data, given);
    let failed = 0;
    for (const name of names.length > 0 ? names : Object.keys(SECTIONS)) failed += await SECTIONS[name]!(bench);
    console.log(failed === 0 ? '\nEvery claim holds.' : `\n${failed} claims do not hold.`);
    return failed === 0 ? 0 : 1;
  } finally {
    close();
  }
}

function benchOf(gpu: Gpu, data: string, recipes: string | undefined): Bench {
  const photos = async (set: string, model: Model) => labelledImages(`${data}/imagenet-sample/${set}`, model);
  const exported = async (folder: string, recipe: string): Promise<Exported> => {
    const model = await loadModelFolder(`${data}/${folder}`);
    if (recipes === undefined) return quantized(gpu, model, (await photos('calib', model)).images, {});
    const loaded = await loadRecipeFolder(path.join(recipes, recipe), model, folder);
    return exportOf(model, loaded.recipe, loaded.weights);
  };
  const once = <T>(make: () => Promise<T>) => {
    let made: Promise<T> | undefined;
    return () => (made ??= make());
  };
  const tiny = once(async () => exported('deit-tiny-patch16-224', 'deit-w8a8'));
  return {
    gpu,
    tiny,
    hard: once(async () => exported('vit-tiny-augreg', 'vit-w8a8')),
    few: async () => (await photos('calib', (await tiny()).model)).images.slice(0, 4),
    photos: async (model) => photos('eval', model),
  };
}

async function quantized(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  overrides: CalibrationOverrides,
): Promise<Exported> {
  const result = await calibrate(gpu, model, images, calibrationOptions('default', overrides));
  return exportOf(model, result.recipe, quantizedWeightsFile(result));
}

async function exportOf(model: Model, recipe: Recipe, weights: Uint8Array): Promise<Exported> {
  return { model, recipe, weights, bytes: await modelFileOf(recipe, weights) };
}

/** Bytes of the model files against the float parameters. */
async function checkSize(gpu: Gpu, eight: Exported, few: readonly CalibrationImage[]): Promise<number> {
  const four = await quantized(gpu, eight.model, few, { weightBits: 4 });
  const floatBytes = [...eight.model.parameters.values()].reduce((sum, { values }) => sum + values.byteLength, 0);
  const share = ({ bytes }: Exported) => (100 * bytes.byteLength) / floatBytes;
  return printClaims('Size of the model file, % of the float parameters', [
    atMost('W8', share(eight), 27),
    atMost('W4', share(four), 15),
  ]);
}

/** Integer-only and mixed inference against the float network and against the quantize-dequantize evaluation of the recipe. */
async function checkAccuracy(gpu: Gpu, exported: Exported, evaluation: Photos): Promise<number> {
  const { float, simulated, integer, mixed, against, rows } = await bothRuntimes(gpu, exported, evaluation);
  rows.push(row(NUDGED, against(simulated, await nudgedLogits(gpu, exported, evaluation))));
  printTable(`DeiT-Tiny W8A8, ${evaluation.images.length} photos`, HEADER, rows);
  const own = against(float, integer);
  return printClaims('Accuracy of integer-only inference', [
    atLeast('integer: agreement with float, %', 100 * own.agreement, 95),
    atMost('integer: top-1 drop, points', own.topOneDropPoints as number, 1.5),
    atMost('integer: KL, nats', own.klDivergence, 0.02, 4),
    atLeast('mixed: agreement with the recipe, %', 100 * against(simulated, mixed).agreement, 99.5),
  ]);
}

/** Logits of float, recipe and both runtimes, and the rows of a table that compare them. */
async function bothRuntimes(gpu: Gpu, exported: Exported, evaluation: Photos) {
  const { float, simulated } = await baselines(gpu, exported, evaluation);
  const integer = await integerLogits(gpu, exported.bytes, evaluation.images, { runtime: 'integer' });
  const mixed = await integerLogits(gpu, exported.bytes, evaluation.images, { runtime: 'mixed' });
  const against = compared(exported, evaluation);
  const rows = [
    row('recipe, quantize-dequantize, against float', against(float, simulated)),
    row('mixed, against float', against(float, mixed)),
    row('integer, against float', against(float, integer)),
    row('mixed, against the recipe', against(simulated, mixed)),
    row('integer, against the recipe', against(simulated, integer)),
  ];
  return { float, simulated, integer, mixed, against, rows };
}

/** Every integer form of softmax, GELU and LayerNorm against float, alone and together. */
async function printNonlinear(
  gpu: Gpu,
  { model, recipe, weights }: Exported,
  { images, labels }: Photos,
): Promise<number> {
  const rgb = images.map((image) => image.rgb);
  const runner = await createFloatRunner(gpu, model);
  const float = await runner.logits(rgb);
  runner.destroy();
  const weightsFile = 'weights.safetensors';
  const input = { recipe, recipeText: recipeText(recipe), weights, weightsFile, writtenBy: 'acceptance' };
  const rows = await nonlinearTable(gpu, input, { pixels: concatenateBytes(rgb), labels, float });
  printTable(`Nonlinearities of DeiT-Tiny W8A8, ${images.length} photos`, NONLINEAR_HEADER, rows.map(nonlinearCells));
  return 0;
}

/** A real model with massive outliers: what integers lose against its own quantize-dequantize evaluation. */
async function checkOutliers(gpu: Gpu, exported: Exported, evaluation: Photos): Promise<number> {
  const { float, simulated } = await baselines(gpu, exported, evaluation);
  const integer = await integerLogits(gpu, exported.bytes, evaluation.images);
  const against = compared(exported, evaluation);
  const rows = [
    row('recipe, quantize-dequantize, against float', against(float, simulated)),
    row('integer, against float', against(float, integer)),
    row('integer, against the recipe', against(simulated, integer)),
    row(NUDGED, against(simulated, await nudgedLogits(gpu, exported, evaluation))),
  ];
  printTable(`ViT-Tiny W8A8, ${evaluation.images.length} photos`, HEADER, rows);
  return printClaims('Real outliers', [
    atLeast('integer: agreement with the recipe, %', 100 * against(simulated, integer).agreement, 98),
  ]);
}

/** The embedded sample with outliers planted in its third block. */
async function checkPlanted(gpu: Gpu): Promise<number> {
  const sample = await loadModelFolder(SAMPLE);
  const calib = await labelledImages(`${SAMPLE}/calib`, sample);
  const evaluation = await labelledImages(`${SAMPLE}/eval`, sample);
  const sizes = { unit: 'blocks.2', fc1: 215, residual: 580 };
  const unit = sample.network.units.find(({ name }) => name === sizes.unit);
  if (!unit) throw new Error(`the sample has no ${sizes.unit}`);
  const normed = await captureTensor(gpu, sample, unit.name, fc1Input(unit), calib.images);
  const planted = plantOutliers(sample, normed, sizes);
  const exported = await quantized(gpu, planted, calib.images, {});
  const { ranges } = exported.recipe.integer;
  const { float, simulated } = await baselines(gpu, exported, evaluation);
  const integer = await integerLogits(gpu, exported.bytes, evaluation.images);
  const against = compared(exported, evaluation);
  const rows = [
    row('recipe, quantize-dequantize, against float', against(float, simulated)),
    row('integer, against float', against(float, integer)),
    row('integer, against the recipe', against(simulated, integer)),
  ];
  printTable(`Sample with planted outliers, W8A8, ${evaluation.images.length} images`, HEADER, rows);
  return printClaims('Planted outliers', [
    atLeast(
      'largest magnitude of an fc1 output (215 the largest positive)',
      ranges[`${sizes.unit}.fc1`] as number,
      200,
      0,
    ),
    atLeast('largest residual value', ranges[`${sizes.unit}.y`] as number, 550, 0),
    atLeast('integer: agreement with float, %', 100 * against(float, integer).agreement, 95),
  ]);
}

/** The embedded Swin: windows with and without shift and mask, relative positions and patch merging, trained. */
async function checkSwin(gpu: Gpu): Promise<number> {
  const swin = await loadModelFolder(SAMPLE_SWIN);
  const calib = await labelledImages(`${SAMPLE}/calib`, swin);
  const evaluation = await labelledImages(`${SAMPLE}/eval`, swin);
  const exported = await quantized(gpu, swin, calib.images, {});
  const { float, integer, mixed, against, rows } = await bothRuntimes(gpu, exported, evaluation);
  printTable(`Swin sample W8A8, ${evaluation.images.length} images`, HEADER, rows);
  return printClaims('The embedded Swin', [
    atLeast('integer: agreement with float, %', 100 * against(float, integer).agreement, 97),
    atLeast('mixed: agreement with float, %', 100 * against(float, mixed).agreement, 97),
  ]);
}

/** The logits of every engine that can run the file, in every bit. */
async function checkBits(gpu: Gpu, bytes: Uint8Array, images: readonly CalibrationImage[]): Promise<number> {
  const pixels = concatenateBytes(images.map(({ rgb }) => rgb));
  const reference = await createReferenceEngine(bytes).run(pixels, images.length);
  const wanted = crcOf(reference);
  const seen = new Map<string, Int32Array>();
  const run = async (name: string, options: SessionOptions) => {
    const session = await createSession(gpu.device, bytes, options);
    seen.set(`${gpu.adapter.description}, ${name}`, await session.run(pixels, images.length));
    session.destroy();
  };
  await run('measured tiles', {});
  for (const variant of matmulVariants(gpu.device)) {
    await run(`${describeVariant(variant)} for all products`, { tiles: { variantFor: () => variant } });
  }
  for (const driver of ['lavapipe', 'swiftshader'] as const) {
    const { adapter, logits } = logitsInOwnProcess(driver, bytes, pixels, images.length);
    seen.set(`${adapter}, a process of its own`, logits);
  }
  seen.set('headless Chromium on SwiftShader', await runInChromium(bytes, pixels, images.length));
  const claims = [...seen].map(([name, logits]): Claim => {
    const same = logits.length === reference.length && logits.every((value, i) => value === reference[i]);
    return yes(`${name}: every bit`, same, crcOf(logits));
  });
  return printClaims(
    `Bits: ${images.length} photos, ${reference.length} logits, CRC-32 ${wanted} by the TypeScript engine`,
    claims,
  );
}

function logitsInOwnProcess(driver: 'lavapipe' | 'swiftshader', model: Uint8Array, pixels: Uint8Array, images: number) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'twinshift-bits-'));
  try {
    const [modelFile, pixelsFile, output] = ['model', 'pixels', 'logits'].map((name) => path.join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(modelFile, model);
    writeFileSync(pixelsFile, pixels);
    const script = path.join(import.meta.dirname, 'integerLogits.js');
    const { status, stdout } = spawnSync(process.execPath, [script, modelFile, pixelsFile, String(images), output], {
      env: { ...process.env, ...driverEnvironment(driverFile(driver)) },
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`inference on ${driver} ended with ${status}`);
    const { buffer, byteOffset, byteLength } = readFileSync(output);
    return { adapter: stdout.trim(), logits: new Int32Array(buffer.slice(byteOffset, byteOffset + byteLength)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function baselines(gpu: Gpu, { model, recipe, weights }: Exported, { images }: Photos) {
  const rgb = images.map((image) => image.rgb);
  const runner = await createFloatRunner(gpu, model);
  const float = await runner.logits(rgb);
  runner.destroy();
  const simulation = await createSimulation(gpu, model, recipe, weights);
  const simulated = await simulation.logits(rgb);
  simulation.destroy();
  return { float, simulated };
}

const NUDGE = 1e-6;
const NUDGED = `recipe with position embeddings moved by ${NUDGE}, against the recipe`;

/**
 * The quantize-dequantize evaluation after the least disturbance: what two evaluations of one recipe agree in that do not round
 * alike. A code that flips moves the codes after it, so the size of the disturbance hardly matters.
 */
async function nudgedLogits(gpu: Gpu, { model, recipe, weights }: Exported, { images }: Photos): Promise<Float32Array> {
  const name = 'pos_embed';
  const position = model.parameters.get(name);
  if (!position) throw new Error(`the model has no ${name}`);
  const values = position.values.map((value, i) => value + (Math.imul(i + 1, 0x9e3779b1) < 0 ? -NUDGE : NUDGE));
  const parameters = new Map(model.parameters).set(name, { ...position, values });
  const simulation = await createSimulation(gpu, { ...model, parameters }, recipe, weights);
  const logits = await simulation.logits(images.map((image) => image.rgb));
  simulation.destroy();
  return logits;
}

function compared({ model }: Exported, { labels }: Photos) {
  const classes = model.network.numClasses;
  return (float: Float32Array, quantized: Float32Array) =>
    compareLogits({ logits: float, classes }, { logits: quantized, classes }, labels);
}

const HEADER = ['', 'top-1 drop, points', 'agreement, %', 'logit SQNR, dB', 'KL, nats'];

function row(name: string, c: Comparison): string[] {
  const decibel = c.logitSqnrDb === null ? 'no error' : c.logitSqnrDb.toFixed(2);
  return [
    name,
    (c.topOneDropPoints as number).toFixed(2),
    (100 * c.agreement).toFixed(2),
    decibel,
    c.klDivergence.toFixed(5),
  ];
}

process.exitCode = await main(process.argv.slice(2));
