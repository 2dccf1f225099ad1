import type { LayerReport, NonlinearChoice, Progress } from '../node.ts';
import { budgetOf, mixedPrecision, withChoices } from './budget.ts';
import { labelled, labelsOf } from './calibrationLabels.ts';
import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { PRESET_NAMES } from '../calibrate/options.ts';
import { choice, integer, onOff, optionalNumber, optionalPath, requiredPath } from './flags.ts';
import { loadModel } from './loadModel.ts';
import { optionFlags, optionsGiven } from './optionFlags.ts';
import { nonlinearFlag } from './nonlinearFlag.ts';
import { runSummary, type RunReport } from './runReport.ts';
import { version } from './version.ts';

/** In place of a folder of images. */
const SYNTHETIC = 'none';

const flags = {
  images: requiredPath(
    '<dir>',
    'folder of calibration images (.jpg .jpeg .png .webp), or none for synthetic ones; no labels are needed',
  ),
  out: requiredPath('<dir>', 'folder to write recipe.json, weights.safetensors and the model file to'),
  labels: optionalPath(
    '<file>',
    'CSV with the columns file,label, which only --gradient-seed label reads (default labels.csv beside the images)',
  ),
  count: integer('images to calibrate with; a seeded sample when the folder has more', 32, 1, 65_536),
  preset: choice('options to begin with', 'default', PRESET_NAMES),
  config: optionalPath('<file>', 'JSON file with options, and with rules for single layers'),
  nonlinear: nonlinearFlag(),
  'target-bits': optionalNumber('mean bits of a weight: the width of every layer is chosen by its sensitivity', 2, 8),
  'target-bytes': optionalNumber('bytes of all weight codes in the model file, widths chosen likewise', 1, 2 ** 40),
  'target-ms': optionalNumber(
    'milliseconds of the integer products of an image on this adapter: twin ranges or levels are chosen for each layer',
    0,
    1_000_000,
  ),
  report: onOff('measure every layer, and draw the run as <out>.report.html'),
  force: onOff('replace the output folder if it is not empty'),
  'skip-bad-images': onOff('name images that cannot be read and go on without them'),
  json: onOff('print the report of the run as one JSON document'),
  ...optionFlags(),
};

export const quantize: Command<typeof flags> = {
  name: 'quantize',
  summary: 'calibrate a float model on images; write its recipe and a file for inference in integers',
  positionals: ['<model>'],
  description: [
    'Quantizes a ViT, DeiT or Swin: <model> is a folder with config.json and model.safetensors, or owner/name[@revision] of the',
    'Hugging Face hub, which is fetched into its cache.',
    'Presets: fast, default, best (slower, for 6 bits and fewer), paper (PTQ4ViT as published), base (Base PTQ, for',
    'comparison) and reference (the float quantizers of the published code). Flags go over --config, which goes over the preset.',
    'docs/options.md tells every option with its paper.',
    'The adapter, timings and peak memory go to <out>.run.json beside the output folder.',
  ],
  flags,
  examples: [
    'twinshift quantize models/sample --images models/sample/calib --out out/sample',
    'twinshift quantize deit-tiny --images photos --weight-bits 6 --activation-bits 6 --out out/w6a6',
  ],
  async run({ values, given, positionals }, context) {
    const { print, progress, signal } = context;
    const started = performance.now();
    const node = await import('../node.ts');
    const modelName = positionals[0] as string;
    const settings = values.config === undefined ? {} : await node.loadSettings(values.config);
    const chosen = node.calibrationOptions(values.preset, { ...settings, ...optionsGiven(values, given) });
    const budget = budgetOf(values);
    const synthetic = values.images === SYNTHETIC;
    const checkOutput = (inputs: readonly string[]) =>
      node.checkOutputFolder(values.out, { force: values.force, inputs });
    await checkOutput(synthetic ? [modelName] : [modelName, values.images]);
    const out = values.out.replace(/(?<=.)[\\/]+$/, ''); // its report stands beside it, not in it
    const folder = synthetic ? undefined : await node.listImageFolder(values.images);
    if (folder) node.requireImages(folder, values.count);
    const { model, folder: modelFolder, hub } = await loadModel(modelName, context);
    if (hub) await checkOutput([modelFolder]);
    node.checkOptions(model.network, chosen);
    if (budget) node.checkMeasurable(model.network, chosen);
    const labels = await labelsOf(folder, values.labels, chosen, model.network.numClasses);
    const { gpu, close } = await node.openNodeGpu();
    try {
      const control = {
        onProgress: (step: Progress) => progress.report({ ...step, stage: `calibrating: ${step.stage}` }),
        signal,
      };
      const selection = folder
        ? await node.selectImages(folder, model.config.preprocessing, {
            count: values.count,
            seed: chosen.seed,
            ...(values['skip-bad-images'] ? { onBadImage: (why) => progress.note(`twinshift: skipped: ${why}`) } : {}),
            onProgress: (done, total) => progress.report({ stage: 'reading images', done, total }),
            signal,
          })
        : { images: await node.syntheticImages(gpu, model, values.count, chosen.seed, control), skipped: [] };
      const images = labels ? selection.images.map((image) => labelled(image, labels)) : selection.images;
      const mixed = budget && (await mixedPrecision(gpu, model, images, chosen, budget, control));
      const options = mixed ? withChoices(chosen, mixed) : chosen;
      const reports = new Map<string, LayerReport>();
      const onLayer = (each: LayerReport) => reports.set(each.name, each);
      const result = await node.calibrate(gpu, model, images, options, {
        ...control,
        checkpoints: new node.CheckpointCache(),
        ...(values.report ? { onLayer } : {}),
      });
      gpu.check();
      const warnings = await node.imageWarnings(gpu, model, images, result.recipe.integer.ranges);
      for (const warning of warnings) progress.note(`twinshift: warning: ${warning}`);
      const weights = node.quantizedWeightsFile(result);
      const recipeText = node.recipeText(result.recipe);
      const files = new Map<string, Uint8Array | string>([
        ['recipe.json', recipeText],
        ['weights.safetensors', weights],
      ]);
      progress.report({ stage: 'exporting', done: 0, total: 1 });
      const exported = await exportModelFile(recipeText, weights, values.nonlinear);
      if (typeof exported === 'string') progress.note(`twinshift: no ${node.MODEL_FILE}: ${exported}`);
      else files.set(node.MODEL_FILE, exported);
      await node.writeFolderAtomically(out, files, { force: values.force, signal });
      const { recipe, stages, candidates, peakDeviceBytes } = result;
      const seconds = (performance.now() - started) / 1000;
      const report: RunReport = {
        format: 'twinshift-run',
        version: 2,
        model: modelName,
        modelCommit: hub?.commit ?? null,
        out,
        images: images.length,
        ignoredFiles: folder?.ignored ?? 0,
        syntheticImages: synthetic,
        skippedImages: selection.skipped,
        warnings,
        preset: values.preset,
        weightBits: options.weightBits,
        activationBits: options.activationBits,
        seed: options.seed,
        layers: recipe.layers.length,
        meanWeightBits: recipe.meanWeightBits,
        meanActivationBits: recipe.meanActivationBits,
        floatWeightBytes: node.parameterBytes(model),
        quantizedWeightBytes: weights.byteLength,
        modelFileBytes: typeof exported === 'string' ? null : exported.byteLength,
        candidates,
        layersAtMaxShift: recipe.layers.flatMap(({ name, a, maxShift }) =>
          maxShift !== undefined && 'shift' in a && a.shift === maxShift ? [name] : [],
        ),
        stageMs: Object.fromEntries(Object.entries(stages).map(([stage, ms]) => [stage, Math.round(ms)])),
        seconds,
        peakProcessBytes: 1024 * process.resourceUsage().maxRSS,
        peakDeviceBytes,
        mixedPrecision: mixed ?? null,
        adapter: gpu.adapter,
        layerReports: recipe.layers.flatMap(({ name }) => reports.get(name) ?? []),
      };
      const json = `${JSON.stringify(report, null, 2)}\n`;
      await node.writeFileAtomically(`${out}.run.json`, json);
      if (values.report) {
        const view = await node.loadRecipeView(out);
        const data = { kind: 'report', recipe: view, evaluation: null } as const;
        await node.writeFileAtomically(`${out}.report.html`, await node.reportHtml(data, await node.reportScript()));
      }
      progress.clear();
      print(values.json ? json : runSummary(report));
      return EXIT.ok;
    } finally {
      close();
    }
  },
};

/**
 * The model file that `export` would make of the recipe and its weights, or why there is none: a recipe is worth keeping even
 * where integers cannot run it.
 */
async function exportModelFile(
  recipeText: string,
  weights: Uint8Array,
  nonlinear: NonlinearChoice,
): Promise<Uint8Array | string> {
  const node = await import('../node.ts');
  const recipe = node.parseRecipe(recipeText, 'recipe.json');
  try {
    const files = { recipe, recipeText, weights, weightsFile: 'weights.safetensors' };
    return (await node.exportRecipe(files, nonlinear, `twinshift ${version}`)).bytes;
  } catch (error) {
    if (error instanceof node.ExportError) return error.message;
    throw error;
  }
}
