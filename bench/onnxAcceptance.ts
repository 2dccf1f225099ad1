/**
 * The claims of exported ONNX files on a whole model and real images, ONNX Runtime against our own float and quantize-dequantize
 * evaluation. `npm run acceptance` builds and runs this; `node dist/bench/onnxAcceptance.js [recipe] [images]` takes a recipe folder of
 * DeiT-Tiny in place of calibrating one, and the first images alone.
 */
import { calibrate } from '../src/calibrate/calibrate.ts';
import { calibrationOptions } from '../src/calibrate/presets.ts';
import type { Recipe } from '../src/calibrate/recipe.ts';
import { compareLogits } from '../src/evaluate/compare.ts';
import { exportFloatOnnx, exportOnnx } from '../src/export/onnx/exportOnnx.ts';
import type { Gpu } from '../src/gpu/device.ts';
import { normalizePixels } from '../src/io/preprocess.ts';
import { readF32 } from '../src/io/readTensor.ts';
import { parseSafetensors, writeSafetensors } from '../src/io/safetensors.ts';
import type { Model } from '../src/model/load.ts';
import { quantizedWeightsFile } from '../src/calibrate/weightsFile.ts';
import { loadModelFolder } from '../src/node/modelFolder.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { loadRecipeFolder } from '../src/node/recipeFolder.ts';
import { createFloatRunner, createSimulation, type Runner } from '../src/simulate/simulate.ts';
import { labelledImages, realData } from './support/data.ts';
import { runOnnx } from './support/runOnnx.ts';
import { atLeast, atMost, printClaims, printTable } from './support/table.ts';

/** A recipe and the weights beside it. */
interface Made {
  readonly recipe: Recipe;
  readonly weights: Uint8Array;
}

/** Images that ONNX Runtime takes at once. */
const BATCH = 8;

async function main([recipeFolder, count]: readonly string[]): Promise<number> {
  const data = realData();
  if (data === undefined) {
    console.error('acceptance needs the real models and photos: set TWINSHIFT_DATA to their folder');
    return 2;
  }
  const { gpu, close } = await openNodeGpu();
  try {
    const name = `${data}/deit-tiny-patch16-224`;
    const model = await loadModelFolder(name);
    const photos = `${data}/imagenet-sample`;
    const { images } = await labelledImages(`${photos}/eval`, model);
    const rgb = images.slice(0, count === undefined ? images.length : Number(count)).map((image) => image.rgb);
    const made =
      recipeFolder === undefined
        ? await calibrated(gpu, model, `${photos}/calib`)
        : await loadRecipeFolder(recipeFolder, model, name);
    console.log(`# ONNX Runtime against ours on ${gpu.adapter.description}, ${rgb.length} photos`);
    const failed = (await checkFloat(gpu, model, rgb)) + (await checkQuantized(gpu, model, made, rgb));
    return failed === 0 ? 0 : 1;
  } finally {
    close();
  }
}

async function calibrated(gpu: Gpu, model: Model, folder: string): Promise<Made> {
  const { images } = await labelledImages(folder, model);
  const result = await calibrate(gpu, model, images, calibrationOptions('default'));
  return { recipe: result.recipe, weights: quantizedWeightsFile(result) };
}

async function checkFloat(gpu: Gpu, model: Model, rgb: readonly Uint8Array[]): Promise<number> {
  const ours = await logitsOf(await createFloatRunner(gpu, model), rgb);
  const { agreement, error } = compared(ours, await onnxLogits(exportFloatOnnx(model, 'acceptance'), model, rgb), rgb);
  return printClaims('Float', [
    atLeast('agreement, %', agreement, 99.5),
    atMost('noise over signal of the logits', 10 ** (-error / 10), 1e-10),
  ]);
}

/** Moves the float embeddings by far less than a code is wide. */
const NUDGE = 1e-6;

/**
 * A value beside the border of two codes goes either way when anything before it rounds otherwise, and moves the codes after it: two
 * evaluations of one recipe are no nearer than an evaluation is to itself with the position embeddings moved by 1e-6.
 */
async function checkQuantized(gpu: Gpu, model: Model, made: Made, rgb: readonly Uint8Array[]): Promise<number> {
  const { recipe, weights } = made;
  const file = exportOnnx({ recipe, weights, weightsFile: 'weights.safetensors', version: 'acceptance' });
  const ours = await logitsOf(await createSimulation(gpu, model, recipe, weights), rgb);
  const nudged = await createSimulation(gpu, model, recipe, nudgedWeights(weights));
  const own = compared(ours, await logitsOf(nudged, rgb), rgb);
  const onnx = compared(ours, await onnxLogits(file, model, rgb), rgb);
  printTable(
    `Quantized, ${(file.byteLength / 1e6).toFixed(1)} MB, against our quantize-dequantize evaluation`,
    ['', 'agreement, %', 'logit SQNR, dB'],
    [
      ['ONNX Runtime', onnx.agreement.toFixed(2), onnx.error.toFixed(2)],
      [`ours, position embeddings moved by ${NUDGE}`, own.agreement.toFixed(2), own.error.toFixed(2)],
    ],
  );
  return printClaims('ONNX Runtime is as near to our evaluation as that is to itself', [
    atLeast('agreement, %', onnx.agreement, own.agreement - 1),
    atLeast('logit SQNR, dB', onnx.error, own.error - 1),
  ]);
}

function nudgedWeights(weights: Uint8Array): Uint8Array {
  const { tensors, metadata } = parseSafetensors(weights, 'weights.safetensors');
  const moved = [...tensors.values()].map((entry) => {
    if (entry.name !== 'pos_embed') return { ...entry, data: entry.bytes };
    const sign = (i: number) => (Math.imul(i + 1, 0x9e3779b1) < 0 ? -1 : 1);
    return { ...entry, data: readF32(entry).map((value, i) => value + sign(i) * NUDGE) };
  });
  return writeSafetensors(moved, metadata);
}

async function logitsOf(runner: Runner, rgb: readonly Uint8Array[]): Promise<Float32Array> {
  const logits = await runner.logits(rgb);
  runner.destroy();
  return logits;
}

async function onnxLogits(file: Uint8Array, model: Model, rgb: readonly Uint8Array[]): Promise<Float32Array> {
  const { imageSize, preprocessing, numClasses } = model.config;
  const perImage = 3 * imageSize ** 2;
  const logits = new Float32Array(rgb.length * numClasses);
  for (let first = 0; first < rgb.length; first += BATCH) {
    const batch = rgb.slice(first, first + BATCH);
    const pixels = new Float32Array(batch.length * perImage);
    batch.forEach((image, i) => pixels.set(normalizePixels(image, preprocessing), i * perImage));
    logits.set(await runOnnx(file, model, pixels), first * numClasses);
  }
  return logits;
}

/** Agreement in %, and signal over error in dB. */
function compared(ours: Float32Array, theirs: Float32Array, { length: images }: readonly Uint8Array[]) {
  const classes = ours.length / images;
  const { agreement, logitSqnrDb } = compareLogits({ logits: ours, classes }, { logits: theirs, classes }, null);
  return { agreement: 100 * agreement, error: logitSqnrDb ?? Infinity };
}

process.exitCode = await main(process.argv.slice(2));
