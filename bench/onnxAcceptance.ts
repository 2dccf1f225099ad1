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
import { searchedLayers } from '../src/model/graph.ts';
import { buildNetwork } from '../src/model/network.ts';
import { storedConfig } from '../src/model/storedConfig.ts';
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
  const { agreement, sqnr } = compared(ours, await onnxLogits(exportFloatOnnx(model, 'acceptance'), model, rgb), rgb);
  return printClaims('Float', [
    atLeast('agreement, %', agreement, 99.5),
    atMost('noise over signal of the logits', 10 ** (-sqnr / 10), 1e-10),
  ]);
}

/** Moves the float embeddings by far less than a code is wide. */
const NUDGE = 1e-6;

/**
 * A value beside the border of two codes goes either way when anything before it rounds otherwise, and moves the codes after it: two
 * evaluations of one recipe are no nearer than an evaluation is to itself with the position embeddings moved by 1e-6.
 */
async function checkQuantized(gpu: Gpu, model: Model, made: Made, rgb: readonly Uint8Array[]): Promise<number> {
  const whole = await distances(gpu, model, made, rgb);
  const first = await distances(gpu, ...firstBlock(model, made), rgb);
  printTable(
    'Quantized, against our quantize-dequantize evaluation',
    ['', 'agreement, %', 'logit SQNR, dB'],
    [
      ['ONNX Runtime', ...cells(whole.onnx)],
      [`ours, position embeddings moved by ${NUDGE}`, ...cells(whole.own)],
      ['ONNX Runtime, the first block and the head', ...cells(first.onnx)],
      [`ours, the same, moved by ${NUDGE}`, ...cells(first.own)],
    ],
  );
  const slack = (value: number) => Number((value - 1).toFixed(2));
  return printClaims('ONNX Runtime is as near to our evaluation as that is to itself', [
    atLeast('agreement, %', whole.onnx.agreement, slack(whole.own.agreement)),
    atLeast('logit SQNR, dB', whole.onnx.sqnr, slack(whole.own.sqnr)),
    atLeast('agreement of the first block and the head, %', first.onnx.agreement, 99.5),
    atLeast('logit SQNR of the first block and the head, dB', first.onnx.sqnr, 35),
  ]);
}

/** How near ONNX Runtime comes to our evaluation of a recipe, and that to itself when it is nudged. */
async function distances(gpu: Gpu, model: Model, { recipe, weights }: Made, rgb: readonly Uint8Array[]) {
  const file = exportOnnx({ recipe, weights, weightsFile: 'weights.safetensors', version: 'acceptance' });
  const ours = await logitsOf(await createSimulation(gpu, model, recipe, weights), rgb);
  const nudged = await logitsOf(await createSimulation(gpu, model, recipe, nudgedWeights(weights)), rgb);
  return { onnx: compared(ours, await onnxLogits(file, model, rgb), rgb), own: compared(ours, nudged, rgb) };
}

/** The network without all blocks but the first: too few codes in a row for a difference to grow. */
function firstBlock(model: Model, { recipe, weights }: Made): [Model, Made] {
  if (model.config.family !== 'vit') throw new Error('this bench is of a ViT');
  const config = { ...model.config, depth: 1 };
  const network = buildNetwork(config);
  const kept = new Set(searchedLayers(network).map(({ name }) => name));
  const layers = recipe.layers.filter(({ name }) => kept.has(name));
  const cut = { ...recipe, layers, model: { ...recipe.model, config: storedConfig(config) } };
  return [
    { ...model, config, network },
    { recipe: cut, weights },
  ];
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

/** In %, and in dB. */
interface Nearness {
  readonly agreement: number;
  readonly sqnr: number;
}

const cells = ({ agreement, sqnr }: Nearness) => [agreement.toFixed(2), sqnr.toFixed(2)];

function compared(ours: Float32Array, theirs: Float32Array, { length: images }: readonly Uint8Array[]): Nearness {
  const classes = ours.length / images;
  const { agreement, logitSqnrDb } = compareLogits({ logits: ours, classes }, { logits: theirs, classes }, null);
  return { agreement: 100 * agreement, sqnr: logitSqnrDb ?? Infinity };
}

process.exitCode = await main(process.argv.slice(2));
