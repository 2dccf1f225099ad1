/**
 * The long tables: whole models on all real images. `npm run acceptance` builds and runs this on lavapipe; it prints every
 * table, skips nothing and ends with 1 when a claim does not hold. Needs the real models and photos (`TWINSHIFT_DATA`).
 */
import { calibrate, type CalibrationResult } from '../src/calibrate/calibrate.ts';
import type { CalibrationImage } from '../src/calibrate/imageChunks.ts';
import type { PresetName } from '../src/calibrate/options.ts';
import { calibrationOptions, type CalibrationOverrides } from '../src/calibrate/presets.ts';
import { recipeText } from '../src/calibrate/recipeText.ts';
import { quantizedWeightsFile } from '../src/calibrate/weightsFile.ts';
import { compareLogits, type Comparison } from '../src/evaluate/compare.ts';
import { argmax } from '../src/evaluate/rank.ts';
import type { Gpu } from '../src/gpu/device.ts';
import type { Model } from '../src/model/load.ts';
import { loadModelFolder } from '../src/node/modelFolder.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { createFloatRunner, createSimulation } from '../src/simulate/simulate.ts';
import { goldenLogits, labelledImages, realData } from './support/data.ts';
import { atLeast, atMost, printClaims, printTable, yes, type Claim } from './support/table.ts';

interface Photos {
  readonly images: readonly CalibrationImage[];
  readonly labels: readonly number[];
}

async function main(): Promise<number> {
  const data = realData();
  if (data === undefined) {
    console.error('acceptance needs the real models and photos: set TWINSHIFT_DATA to their folder');
    return 2;
  }
  const { gpu, close } = await openNodeGpu();
  try {
    console.log(`# Acceptance on ${gpu.adapter.description}`);
    let failed = 0;
    const photos = `${data}/imagenet-sample`;
    const tiny = await loadModelFolder(`${data}/deit-tiny-patch16-224`);
    const calib = await labelledImages(`${photos}/calib`, tiny);
    const evaluation = await labelledImages(`${photos}/eval`, tiny);
    const floatLogits = await checkFloat(gpu, data, 'deit-tiny-patch16-224', tiny);
    failed += floatLogits.failed;
    failed += (await checkFloat(gpu, data, 'vit-tiny-augreg', await loadModelFolder(`${data}/vit-tiny-augreg`))).failed;
    failed += await checkAccuracy(gpu, tiny, calib.images, evaluation, floatLogits.evaluation);
    failed += await checkSearch(gpu, tiny, calib.images.slice(0, 8));
    console.log(failed === 0 ? '\nEvery claim holds.' : `\n${failed} claims do not hold.`);
    return failed === 0 ? 0 : 1;
  } finally {
    close();
  }
}

/** Logits of all photos, from their files, against PyTorch with Pillow. */
async function checkFloat(
  gpu: Gpu,
  data: string,
  name: string,
  model: Model,
): Promise<{ failed: number; evaluation: Float32Array }> {
  const runner = await createFloatRunner(gpu, model);
  let [error, power, same, count] = [0, 0, 0, 0];
  let logits = new Float32Array();
  for (const set of ['calib', 'eval'] as const) {
    const folder = `${data}/imagenet-sample/${set}`;
    const { images } = await labelledImages(folder, model);
    const wanted = await goldenLogits(
      `${data}/${name}/golden.safetensors`,
      `${set}.logits`,
      `${folder}/labels.csv`,
      images,
    );
    logits = new Float32Array(await runner.logits(images.map(({ rgb }) => rgb)));
    const classes = model.network.numClasses;
    for (let i = 0; i < logits.length; i++) {
      error += ((logits[i] as number) - (wanted[i] as number)) ** 2;
      power += (wanted[i] as number) ** 2;
    }
    for (let i = 0; i < images.length; i++) {
      const [from, to] = [i * classes, (i + 1) * classes];
      if (argmax(logits.subarray(from, to)) === argmax(wanted.subarray(from, to))) same++;
    }
    count += images.length;
  }
  runner.destroy();
  const claims = [atMost('NMSE of the logits', error / power, 1e-4), atLeast(`same top-1 of ${count}`, same, 499, 0)];
  return { failed: printClaims(`${name}, float, from the files of ${count} photos`, claims), evaluation: logits };
}

/** Quantized DeiT-Tiny against our own float logits on the evaluation photos. */
async function checkAccuracy(
  gpu: Gpu,
  model: Model,
  calib: readonly CalibrationImage[],
  evaluation: Photos,
  float: Float32Array,
): Promise<number> {
  const run = async (preset: PresetName, bits: number) => {
    const overrides: CalibrationOverrides = { weightBits: bits, activationBits: bits };
    const started = performance.now();
    const result = await calibrate(gpu, model, calib, calibrationOptions(preset, overrides));
    const seconds = (performance.now() - started) / 1000;
    const simulation = await createSimulation(gpu, model, result.recipe, quantizedWeightsFile(result));
    const logits = await simulation.logits(evaluation.images.map(({ rgb }) => rgb));
    simulation.destroy();
    const classes = model.network.numClasses;
    const comparison = compareLogits({ logits: float, classes }, { logits, classes }, evaluation.labels);
    console.log(
      `\n${preset} W${bits}A${bits}: ${calib.length} images calibrated in ${seconds.toFixed(0)} s, device memory ${megabytes(result.peakDeviceBytes)} MB, process so far ${megabytes(1024 * process.resourceUsage().maxRSS)} MB; ${stagesOf(result)}`,
    );
    return comparison;
  };
  const eight = await run('default', 8);
  const six = await run('default', 6);
  const base = await run('base', 6);
  const row = (name: string, c: Comparison) => [
    name,
    (c.topOneDropPoints as number).toFixed(2),
    (100 * c.agreement).toFixed(2),
    (c.logitSqnrDb as number).toFixed(2),
    c.klDivergence.toFixed(5),
  ];
  const header = ['', 'top-1 drop, points', 'agreement, %', 'logit SQNR, dB', 'KL, nats'];
  const rows = [row('W8A8 default', eight), row('W6A6 default', six), row('W6A6 base', base)];
  printTable(
    `DeiT-Tiny, ${calib.length} calibration photos, ${evaluation.images.length} evaluation photos`,
    header,
    rows,
  );
  const limits = (name: string, c: Comparison, drop: number, agreement: number, sqnr: number, kl: number): Claim[] => [
    atMost(`${name}: top-1 drop, points`, c.topOneDropPoints as number, drop),
    atLeast(`${name}: agreement, %`, 100 * c.agreement, agreement),
    atLeast(`${name}: logit SQNR, dB`, c.logitSqnrDb as number, sqnr),
    atMost(`${name}: KL, nats`, c.klDivergence, kl, 4),
  ];
  return printClaims('Accuracy', [
    ...limits('W8A8 default', eight, 1, 97, 20.5, 0.0055),
    ...limits('W6A6 default', six, 2.5, 89, 9, 0.068),
    yes('base is worse in top-1', (base.topOneDropPoints as number) > (six.topOneDropPoints as number)),
    yes('base is worse in agreement', base.agreement < six.agreement),
    yes('base is worse in SQNR', (base.logitSqnrDb as number) < (six.logitSqnrDb as number)),
    yes('base is worse in KL', base.klDivergence > six.klDivergence),
    atMost('peak process memory, MB', (1024 * process.resourceUsage().maxRSS) / 1e6, 3000, 0),
  ]);
}

/** The fast search against the published one, and two runs against each other. */
async function checkSearch(gpu: Gpu, model: Model, images: readonly CalibrationImage[]): Promise<number> {
  const timed = async (preset: PresetName) => {
    const started = performance.now();
    const result = await calibrate(gpu, model, images, calibrationOptions(preset));
    return { result, seconds: (performance.now() - started) / 1000 };
  };
  const fast = await timed('default');
  const again = await timed('default');
  const paper = await timed('paper');
  const excess = fast.result.recipe.layers.map(({ name, score }, i) => {
    const published = paper.result.recipe.layers[i]?.score as number;
    return { name, ratio: score / published };
  });
  const worst = excess.reduce((a, b) => (b.ratio > a.ratio ? b : a));
  const mean = excess.reduce((sum, { ratio }) => sum + ratio, 0) / excess.length;
  const failed = printClaims(`Search at W8A8, ${images.length} photos`, [
    atMost(`worst score of default over paper (${worst.name}; mean ${mean.toFixed(4)})`, worst.ratio, 1.001, 4),
    atMost('work of default over paper', fast.result.candidateMacs / paper.result.candidateMacs, 0.1, 4),
    yes('two runs of default give the same recipe', recipeText(fast.result.recipe) === recipeText(again.result.recipe)),
  ]);
  for (const [name, { result, seconds }] of Object.entries({ default: fast, paper })) {
    console.log(
      `\n${name}: ${seconds.toFixed(0)} s, ${(result.candidates / seconds).toFixed(0)} candidates per second; ${stagesOf(result)}`,
    );
  }
  return failed;
}

function stagesOf({ stages }: CalibrationResult): string {
  return Object.entries(stages)
    .map(([stage, ms]) => `${stage} ${(ms / 1000).toFixed(1)} s`)
    .join(', ');
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

process.exitCode = await main();
